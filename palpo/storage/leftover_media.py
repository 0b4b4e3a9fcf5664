"""Media of events that were deleted, and whether anything else has them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import ColumnElement, Table, bindparam, delete, or_, select, update

from palpo.core.identifiers import MxcUri, ServerName
from palpo.db.statements import Statement, in_list, upsert
from palpo.db.tables.account_data import account_data
from palpo.db.tables.delayed_events import delayed_events
from palpo.db.tables.media import leftover_media, media
from palpo.db.tables.profiles import profiles
from palpo.db.tables.rooms import events
from palpo.db.transaction import Transaction, WriteTransaction

n, m, e = leftover_media.c, media.c, events.c
_NOTE = upsert(leftover_media, key=["origin", "media_id"], update=())
_ANY = Statement(select(n.media_id).limit(1))
_LOOKED_FOR = Statement(select(n.origin, n.media_id).where(n.looked_for == 1))
_NEXT = Statement(select(n.origin, n.media_id).where(n.looked_for == 0).limit(bindparam("limit")))
_THESE = (n.origin == bindparam("of_origin")) & in_list(n.media_id, "ids")
_LOOK_FOR = Statement(update(leftover_media).where(_THESE).values(looked_for=1))
_FORGET = Statement(delete(leftover_media).where(_THESE))
_OWNERS = Statement(
    select(m.media_id, m.user_id).where(m.origin == bindparam("of_origin"), in_list(m.media_id, "ids"))
)
_BY_ID = Statement(select(e.sender, e.pdu).where(in_list(e.event_id, "ids")))
_SINCE = Statement(
    select(e.position, e.pdu)
    .where(e.position > bindparam("after"))
    .order_by(e.position)
    .limit(bindparam("limit"))
)


def _texts(table: Table, keys: Sequence[str], text: str, optional: Sequence[str] = ()) -> Statement:
    """The next rows of a table in the order of its key; the text is the last column."""
    columns: list[ColumnElement[str]] = [table.c[key] for key in keys]
    after = or_(
        *(
            _all(
                *(column == bindparam(f"after{before}") for before, column in enumerate(columns[:at])),
                columns[at] > bindparam(f"after{at}"),
            )
            for at in range(len(columns))
        )
    )
    # The first condition is what lets an index be used.
    wanted = select(*columns, table.c[text]).where(columns[0] >= bindparam("after0"), after)
    return Statement(wanted.order_by(*columns).limit(bindparam("limit")))


def _all(first: ColumnElement[bool], *others: ColumnElement[bool]) -> ColumnElement[bool]:
    for other in others:
        first = first & other
    return first


TEXTS: Final = {
    "events": (_texts(events, ["event_id"], "pdu"), 1),
    "profiles": (_texts(profiles, ["user_id"], "fields"), 1),
    "account_data": (_texts(account_data, ["user_id", "room_id", "type"], "content"), 3),
    "delayed_events": (_texts(delayed_events, ["delay_id"], "content"), 1),
}
"""Where users can name media: how the rows are read, and how many columns the key has."""


async def of_events(tx: Transaction, event_ids: Sequence[str]) -> list[tuple[str, bytes]]:
    """Who has sent events, and what they are."""
    return [(row[0], bytes(row[1])) for row in await tx.all(_BY_ID, ids=list(event_ids))]


async def owners(tx: Transaction, origin: str, media_ids: Sequence[str]) -> dict[str, str | None]:
    """Those of a server's media that are here, with who has uploaded them."""
    rows = await tx.all(_OWNERS, of_origin=origin, ids=list(media_ids))
    return {row[0]: row[1] for row in rows}


async def note(tx: WriteTransaction, uris: Collection[MxcUri]) -> None:
    """Some media may not be wanted any more."""
    rows = [{"origin": uri.server, "media_id": uri.media_id, "looked_for": 0} for uri in uris]
    await tx.many(_NOTE, rows)


async def are_there(tx: Transaction) -> bool:
    """Whether there are any that may not be wanted."""
    return await tx.value(_ANY) is not None


async def looked_for(tx: Transaction) -> set[MxcUri]:
    """Those that are being looked for."""
    return {_uri(row[0], row[1]) for row in await tx.all(_LOOKED_FOR)}


async def look_for(tx: WriteTransaction, limit: int) -> int:
    """Have the next of them be looked for from now on; how many."""
    found = [_uri(row[0], row[1]) for row in await tx.all(_NEXT, limit=limit)]
    for origin, ids in _by_origin(found).items():
        await tx.run(_LOOK_FOR, of_origin=origin, ids=ids)
    return len(found)


async def forget(tx: WriteTransaction, uris: Collection[MxcUri]) -> None:
    """They have been found somewhere, or are gone."""
    for origin, ids in _by_origin(uris).items():
        await tx.run(_FORGET, of_origin=origin, ids=ids)


async def texts(
    tx: Transaction, name: str, after: Sequence[str], limit: int
) -> tuple[list[str] | None, list[bytes]]:
    """The key of the last of the next rows of one of TEXTS, None where there are none, and their texts."""
    statement, width = TEXTS[name]
    key = list(after) or [""] * width
    given = {f"after{at}": part for at, part in enumerate(key)}
    rows = await tx.all(statement, limit=limit, **given)
    last = list(rows[-1][:width]) if rows else None
    return last, [bytes(row[width]) for row in rows if row[width] is not None]


async def since(tx: Transaction, position: int, limit: int) -> list[tuple[int, bytes]]:
    """The first events above a position of the stream."""
    return [(row[0], bytes(row[1])) for row in await tx.all(_SINCE, after=position, limit=limit)]


def _uri(origin: str, media_id: str) -> MxcUri:
    return MxcUri(ServerName(origin), media_id)


def _by_origin(uris: Collection[MxcUri]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for uri in uris:
        found.setdefault(uri.server, []).append(uri.media_id)
    return found
