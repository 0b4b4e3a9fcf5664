"""Leases: a name that one process holds until a time, unless it renews.

Times are milliseconds since the Unix epoch, and arguments. Every change is a compare-and-swap, so
of several processes that try at once one succeeds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, bindparam, false, select, update
from sqlalchemy.engine import make_url

from palpo.db.statements import Statement, upsert
from palpo.db.tables.leases import leases
from palpo.db.transaction import Transaction, WriteTransaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A name held by ``holder`` until ``until_ms``; ``fence`` is greater than every earlier holder's."""

    name: str
    holder: str
    fence: int
    until_ms: int


NOBODY = ""


def holder_of(process: str, url: str) -> str:
    """What a process is called that holds leases in the database at a URL.

    By the database's name a copy of it can tell that no lease in it is held: who held them works on another.
    """
    return f"{process}{_at(url)}"


def held_elsewhere(url: str) -> ColumnElement[bool]:
    """Which leases in a database belong to processes that work on one of another name."""
    if not (at := _at(url)):
        return false()
    return leases.c.holder.contains("@") & ~leases.c.holder.endswith(at, autoescape=True)


def _at(url: str) -> str:
    name = None if url.startswith("sqlite:") else make_url(url).database
    return f"@{name}" if name else ""


_SEED = upsert(leases, key=["name"], update=())
_FIND = Statement(
    select(leases.c.holder, leases.c.expires_ts, leases.c.fence).where(leases.c.name == bindparam("lease"))
)
_HELD = Statement(
    select(leases.c.name, leases.c.expires_ts).where(
        (leases.c.expires_ts > bindparam("now_ms")) & (leases.c.holder != NOBODY)
    )
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


async def held(tx: Transaction, *, now_ms: int) -> dict[str, int]:
    """Until when each lease is held, by name; those that are not are left out."""
    rows = await tx.all(_HELD, now_ms=now_ms)
    return {row[0]: row[1] for row in rows}


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
        held = Lease(name=name, holder=holder, fence=fence, until_ms=expires_ts)
        return await renew(tx, held, now_ms=now_ms, until_ms=until_ms)
    taken = await tx.run(_TAKE, lease=name, by=holder, fence=fence, now_ms=now_ms, until=until_ms)
    return Lease(name=name, holder=holder, fence=fence + 1, until_ms=until_ms) if taken else None


async def renew(tx: WriteTransaction, lease: Lease, *, now_ms: int, until_ms: int) -> Lease | None:
    """``lease``, held until ``until_ms``; None where it has run out or gone to another."""
    renewed = await tx.run(
        _RENEW, lease=lease.name, by=lease.holder, fence=lease.fence, now_ms=now_ms, until=until_ms
    )
    return replace(lease, until_ms=until_ms) if renewed else None


async def release(tx: WriteTransaction, lease: Lease) -> bool:
    """Give ``lease`` back at once; whether it was still held."""
    return await tx.run(_RELEASE, lease=lease.name, by=lease.holder, fence=lease.fence) > 0
