"""EDUs that must not be lost, until the server that they are for has acknowledged them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, select

from palpo.core.canonical_json import to_json
from palpo.core.identifiers import ServerName
from palpo.db.statements import Statement, in_list, upsert
from palpo.db.tables.destinations import destination_edus
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records
from palpo.storage.surplus import Surplus
from palpo.streams import topics

d = destination_edus.c


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEdu:
    """An EDU for one server."""

    destination: ServerName
    edu_type: str
    key: str
    """At most 255 bytes. It takes the place of one of the same key and type that has not been sent yet."""
    content: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEdu:
    """One that waits to be sent."""

    edu_type: str
    position: int
    content: bytes


_RECORDS = Records(StoredEdu, destination_edus)
_PUT = upsert(destination_edus, key=["destination", "edu_type", "edu_key"])
_FOR = Statement(
    select(*_RECORDS.columns)
    .where(d.destination == bindparam("destination"))
    .order_by(d.position)
    .limit(bindparam("limit"))
)
_DESTINATIONS = Statement(select(d.destination).distinct())
_DELETE = Statement(
    delete(destination_edus).where(
        d.destination == bindparam("destination"), in_list(d.position, "positions")
    )
)
_SURPLUS = Surplus(destination_edus, d.position, d.destination == bindparam("destination"))


async def put(tx: WriteTransaction, edus: Iterable[NewEdu]) -> None:
    """Have EDUs sent, in this order, once the transaction is committed."""
    items = list(edus)
    if not items:
        return
    first = await tx.positions(len(items))
    await tx.many(_PUT, [_row(item, first + number) for number, item in enumerate(items)])
    tx.notify(topics.DESTINATION_EDUS, *{item.destination for item in items})


async def waiting(tx: Transaction, destination: str, limit: int) -> list[StoredEdu]:
    """The first of those for a server."""
    return _RECORDS.all(await tx.all(_FOR, destination=destination, limit=limit))


async def destinations(tx: Transaction) -> list[ServerName]:
    """The servers for which there are any."""
    return [row[0] for row in await tx.all(_DESTINATIONS)]


async def sent(tx: WriteTransaction, destination: str, positions: Sequence[int]) -> None:
    """Forget those that a server has acknowledged, but for what took their place meanwhile."""
    await tx.run(_DELETE, destination=destination, positions=list(positions))


async def forget_oldest(tx: WriteTransaction, destinations: Collection[str], *, keep: int) -> None:
    """Forget of those for each server all but the ``keep`` newest."""
    for destination in sorted(destinations):
        await _SURPLUS.forget(tx, keep=keep, destination=destination)


def _row(item: NewEdu, position: int) -> dict[str, object]:
    return {
        "destination": item.destination,
        "edu_type": item.edu_type,
        "edu_key": item.key,
        "position": position,
        "content": to_json(item.content),
    }
