"""When users' device lists last changed.

Whoever asks, asks what changed after some position until now, so each user's last change is enough:
one that an older change hides is told of in its stead.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import bindparam, select

from palpo.core.records.events import EventStatus
from palpo.db.statements import Statement, in_list, upsert
from palpo.db.tables.accounts import users
from palpo.db.tables.devices import device_list_changes
from palpo.db.tables.room_servers import room_servers
from palpo.db.tables.rooms import events
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage import memberships
from palpo.storage.windows import oldest, within
from palpo.streams import topics

c = device_list_changes.c
EVERYONE = ""
"""The ``observer`` of a change that all can see."""
SERVERS = "@"
"""That of one that other servers are told of, though only the user's own devices can see it here."""
_PUT = upsert(device_list_changes, key=["user_id", "observer"])
_CHANGED = Statement(
    select(c.user_id).distinct().where(in_list(c.observer, "observers"), c.position > bindparam("after"))
)
_NEWEST = Statement(
    select(c.user_id)
    .where(c.observer == EVERYONE, c.position > bindparam("after"))
    .order_by(c.position.desc())
    .limit(bindparam("limit"))
)
_MEMBER_EVENTS = Statement(
    select(events.c.event_id)
    .where(
        in_list(events.c.room_id, "rooms"),
        within(events.c.position),
        events.c.type == "m.room.member",
        events.c.status == int(EventStatus.ACCEPTED),
    )
    .order_by(events.c.position)
)

_OF_USERS_HERE = oldest(
    select(c.position, c.user_id)
    .join(users, users.c.user_id == c.user_id)
    .where(in_list(c.observer, "observers")),
    c.position,
)
_CHANGED_OF = Statement(
    select(c.user_id)
    .distinct()
    .where(in_list(c.user_id, "user_ids"), in_list(c.observer, "observers"), c.position > bindparam("after"))
)
_FEDERATED_MEMBERS = oldest(
    select(events.c.position, events.c.event_id, events.c.state_key).where(
        events.c.type == "m.room.member",
        events.c.status == int(EventStatus.ACCEPTED),
        select(room_servers.c.room_id).where(room_servers.c.room_id == events.c.room_id).exists(),
    ),
    events.c.position,
)


async def record(tx: WriteTransaction, user_id: str, *, observer: str = EVERYONE) -> None:
    """Note that a user's device or cross-signing keys changed; wakes all who can see it.

    A change for an ``observer`` is for that user alone.
    """
    position = await tx.positions()
    for each in (observer, SERVERS) if observer == user_id else (observer,):
        await tx.run(_PUT, user_id=user_id, observer=each, position=position)
    tx.notify(topics.DEVICE_LIST, user_id)
    tx.notify(topics.USER, observer or user_id)
    if observer == EVERYONE:
        tx.notify(topics.ROOM, *await memberships.joined_rooms(tx, user_id))


async def record_all(tx: WriteTransaction, user_ids: Sequence[str]) -> None:
    """Note that everybody's keys may have changed, and wake nobody."""
    if user_ids:
        first = await tx.positions(len(user_ids))
        rows = [
            {"user_id": user_id, "observer": EVERYONE, "position": first + number}
            for number, user_id in enumerate(user_ids)
        ]
        await tx.many(_PUT, rows)


async def changed_since(tx: Transaction, after: int, *, observer: str) -> set[str]:
    """Whose device list changed after a position, as ``observer`` sees it."""
    rows = await tx.all(_CHANGED, observers=[EVERYONE, observer], after=after)
    return {row[0] for row in rows}


async def changed_after(tx: Transaction, after: int, limit: int) -> list[str]:
    """Whose device list changed for all after a position, the last ones first."""
    return [row[0] for row in await tx.all(_NEWEST, after=after, limit=limit)]


async def member_events(tx: Transaction, room_ids: Collection[str], after: int, upto: int) -> list[str]:
    """The IDs of the membership events of the rooms in ``(after, upto]``."""
    if not room_ids:
        return []
    return [row[0] for row in await tx.all(_MEMBER_EVENTS, rooms=list(room_ids), after=after, upto=upto)]


async def changed_of(tx: Transaction, user_ids: Collection[str], *, after: int) -> list[str]:
    """Those of some users whose lists changed after a position for other servers."""
    observers = [EVERYONE, SERVERS]
    rows = await tx.all(_CHANGED_OF, user_ids=list(user_ids), observers=observers, after=after)
    return [row[0] for row in rows]


async def changed_here(tx: Transaction, *, after: int, upto: int, limit: int) -> list[tuple[int, str]]:
    """``(position, user)``: users here whose lists changed in ``(after, upto]`` for other servers."""
    observers = [EVERYONE, SERVERS]
    rows = await tx.all(_OF_USERS_HERE, observers=observers, after=after, upto=upto, limit=limit)
    return [(row[0], row[1]) for row in rows]


async def federated_member_events(
    tx: Transaction, *, after: int, upto: int, limit: int
) -> list[tuple[int, str, str]]:
    """``(position, event, user)`` of membership events in ``(after, upto]``, of rooms with other servers."""
    rows = await tx.all(_FEDERATED_MEMBERS, after=after, upto=upto, limit=limit)
    return [(row[0], row[1], row[2]) for row in rows]
