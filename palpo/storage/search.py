"""The search index: which events have which words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, or_, select

from palpo.db.statements import Statement, in_list, upsert
from palpo.db.tables.rooms import events
from palpo.db.tables.search import search_entries, search_words
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records
from palpo.storage.windows import within

e = search_entries.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An event that can be found."""

    position: int
    event_id: str
    room_id: str
    sender: str
    key: str
    words: str
    """Tokens with a space between them, the room's own among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is searched for."""

    groups: Sequence[str]
    """Of tokens with ``|`` between them: an event has one of each; ``*`` ends a token that may go on."""
    keys: Sequence[str]
    senders: Sequence[str] | None = None
    """None for anybody's."""
    before: int
    """Only events at lower positions."""


_ENTRIES = Records(Entry, search_entries, key=e.search_key)
_INSERT = upsert(search_entries, key=["position"], update=())
_FOLLOW = Statement(
    select(events.c.position, events.c.event_id)
    .where(events.c.position > bindparam("after"))
    .order_by(events.c.position)
    .limit(bindparam("limit"))
)
_REDACTED = Statement(
    select(events.c.event_id).where(in_list(events.c.event_id, "ids"), events.c.redacted_by.is_not(None))
)
_REMOVE_RANGE = Statement(delete(search_entries).where(within(e.position)))
_REMOVE = Statement(delete(search_entries).where(in_list(e.event_id, "ids")))
_NEWEST = search_words.newest(
    [e.position, e.event_id],
    in_list(e.room_id, "rooms"),
    in_list(e.search_key, "keys"),
    or_(bindparam("anybody", type_=e.position.type) == 1, in_list(e.sender, "senders")),
)


async def events_after(tx: Transaction, after: int, limit: int) -> list[tuple[int, str]]:
    """``(position, event ID)`` of the next events in the stream, in order."""
    return [(row[0], row[1]) for row in await tx.all(_FOLLOW, after=after, limit=limit)]


async def add(tx: WriteTransaction, entries: Iterable[Entry]) -> None:
    """Let events be found."""
    await tx.many(_INSERT, [_ENTRIES.values(entry) for entry in entries])


async def remove_redacted(tx: WriteTransaction, ids: Sequence[str]) -> None:
    """Let those of ``ids`` that have been redacted be found no more."""
    redacted = [row[0] for row in await tx.all(_REDACTED, ids=list(ids))]
    if redacted:
        await tx.run(_REMOVE, ids=redacted)


async def remove_range(tx: WriteTransaction, after: int, upto: int) -> None:
    """Let nothing at a position in ``(after, upto]`` be found."""
    await tx.run(_REMOVE_RANGE, after=after, upto=upto)


async def newest(
    tx: Transaction, wanted: Wanted, *, rooms: Sequence[str], scopes: Sequence[str], limit: int
) -> list[tuple[int, str]]:
    """``(position, event ID)`` of the newest events that match, the newest first.

    ``scopes`` are the tokens of ``rooms``.
    """
    rows = await tx.all(
        _NEWEST,
        groups=" ".join(wanted.groups),
        scopes=" ".join(scopes),
        rooms=list(rooms),
        keys=list(wanted.keys),
        anybody=int(wanted.senders is None),
        senders=list(wanted.senders or ()),
        before=wanted.before,
        limit=limit,
    )
    return [(row[0], row[1]) for row in rows]
