"""Events that servers were asked for, and did not give."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, select

from palpo.core.identifiers import ServerName
from palpo.db.statements import Statement, in_list, upsert
from palpo.db.tables.inbound import failed_fetches
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedFetch:
    """That one server did not give one event."""

    server_name: ServerName
    event_id: str
    failures: int
    next_ts: int
    """When it may be asked again, in milliseconds since the Unix epoch."""


f = failed_fetches.c
_RECORDS = Records(FailedFetch, failed_fetches)
_OF = Statement(
    select(*_RECORDS.columns).where(
        f.server_name == bindparam("server_name"), in_list(f.event_id, "event_ids")
    )
)
_PUT = upsert(failed_fetches, key=["server_name", "event_id"])
_FORGET = Statement(
    delete(failed_fetches).where(f.server_name == bindparam("server_name"), in_list(f.event_id, "event_ids"))
)
_OLD = Statement(
    select(f.server_name, f.event_id)
    .where(f.next_ts < bindparam("before"))
    .order_by(f.next_ts)
    .limit(bindparam("limit"))
)


async def find(tx: Transaction, server_name: str, event_ids: Iterable[str]) -> dict[str, FailedFetch]:
    """Those of the events, by ID, that the server did not give."""
    rows = await tx.all(_OF, server_name=server_name, event_ids=list(event_ids))
    return {item.event_id: item for item in _RECORDS.all(rows)}


async def put(tx: WriteTransaction, failed: Iterable[FailedFetch]) -> None:
    """Note that events were not given."""
    await tx.many(_PUT, [_RECORDS.values(item) for item in failed])


async def take(tx: WriteTransaction, server_name: str, event_ids: Collection[str]) -> None:
    """The server may be asked for these again."""
    if event_ids:
        await tx.run(_FORGET, server_name=server_name, event_ids=list(event_ids))


async def forget(tx: WriteTransaction, *, before_ts: int, limit: int) -> int:
    """Forget up to ``limit`` that might have been asked for since a time; how many."""
    by_server: dict[str, list[str]] = {}
    for server_name, event_id in await tx.all(_OLD, before=before_ts, limit=limit):
        by_server.setdefault(server_name, []).append(event_id)
    for server_name, event_ids in by_server.items():
        await take(tx, server_name, event_ids)
    return sum(map(len, by_server.values()))
