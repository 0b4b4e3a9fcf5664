"""Leases: a name that one process holds until a time, unless it renews.

Times are milliseconds since the Unix epoch, and arguments. Every change is a compare-and-swap, so
of several processes that try at once one succeeds.
"""

from __future__ import annotations

from sqlalchemy import bindparam, select, update

from palpo.db.engine import Database
from palpo.db.statements import Statement, upsert
from palpo.db.tables.leases import leases
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.streams.leases import Lease

NOBODY = ""

_SEED = upsert(leases, key=["name"], update=())
_FIND = Statement(
    select(leases.c.holder, leases.c.expires_ts, leases.c.fence).where(leases.c.name == bindparam("lease"))
)
_TAKE = Statement(
    update(leases)
    .where(leases.c.name == bindparam("lease"))
    .where(leases.c.fence == bindparam("fence"))
    .where((leases.c.expires_ts <= bindparam("now_ms")) | (leases.c.holder == NOBODY))
    .values(holder=bindparam("by"), expires_ts=bindparam("until"), fence=leases.c.fence + 1)
)
_MINE = (
    (leases.c.name == bindparam("lease"))
    & (leases.c.holder == bindparam("by"))
    & (leases.c.fence == bindparam("fence"))
)
_RENEW = Statement(
    update(leases)
    .where(_MINE)
    .where(leases.c.expires_ts > bindparam("now_ms"))
    .values(expires_ts=bindparam("until"))
)
_RELEASE = Statement(update(leases).where(_MINE).values(holder=NOBODY, expires_ts=0))


async def acquire(
    tx: WriteTransaction, name: str, *, holder: str, now_ms: int, until_ms: int
) -> Lease | None:
    """Take the lease ``name`` until ``until_ms``; None where another holds it.

    A holder that asks again while it holds the lease is renewed.
    """
    row = await tx.one(_FIND, lease=name)
    if row is None:
        await tx.run(_SEED, name=name, holder=NOBODY, expires_ts=0, fence=0)
        row = (NOBODY, 0, 0)
    holding, expires_ts, fence = row
    if holding == holder and expires_ts > now_ms:
        return await renew(
            tx,
            Lease(name=name, holder=holder, fence=fence, until_ms=expires_ts),
            now_ms=now_ms,
            until_ms=until_ms,
        )
    taken = await tx.run(_TAKE, lease=name, by=holder, fence=fence, now_ms=now_ms, until=until_ms)
    return Lease(name=name, holder=holder, fence=fence + 1, until_ms=until_ms) if taken else None


async def renew(tx: WriteTransaction, lease: Lease, *, now_ms: int, until_ms: int) -> Lease | None:
    """``lease``, held until ``until_ms``; None where it has run out or gone to another."""
    renewed = await tx.run(
        _RENEW, lease=lease.name, by=lease.holder, fence=lease.fence, now_ms=now_ms, until=until_ms
    )
    if not renewed:
        return None
    return Lease(name=lease.name, holder=lease.holder, fence=lease.fence, until_ms=until_ms)


async def release(tx: WriteTransaction, lease: Lease) -> bool:
    """Give ``lease`` back at once; whether it was still held."""
    return await tx.run(_RELEASE, lease=lease.name, by=lease.holder, fence=lease.fence) > 0


async def find(tx: Transaction, name: str, *, now_ms: int) -> Lease | None:
    """The lease ``name``, whoever holds it; None where nobody does."""
    row = await tx.one(_FIND, lease=name)
    if row is None or row[0] == NOBODY or row[1] <= now_ms:
        return None
    return Lease(name=name, holder=row[0], fence=row[2], until_ms=row[1])


class DatabaseLeases:
    """``palpo.streams.leases.LeaseStore`` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def acquire(self, name: str, *, holder: str, now_ms: int, until_ms: int) -> Lease | None:
        return await self._database.write(
            lambda tx: acquire(tx, name, holder=holder, now_ms=now_ms, until_ms=until_ms)
        )

    async def renew(self, lease: Lease, *, now_ms: int, until_ms: int) -> Lease | None:
        return await self._database.write(lambda tx: renew(tx, lease, now_ms=now_ms, until_ms=until_ms))

    async def release(self, lease: Lease) -> bool:
        return await self._database.write(lambda tx: release(tx, lease))
