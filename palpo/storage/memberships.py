"""Who is, was or might be in which room: the latest membership of everyone in each."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, func, select, update

from palpo.core.identifiers import RoomId, UserId, server_name_of
from palpo.core.membership import BAN, INVITE, JOIN, KNOCK, LEAVE, Membership
from palpo.db.statements import Statement, in_list, upsert
from palpo.db.tables.accounts import users
from palpo.db.tables.rooms import memberships
from palpo.db.transaction import Row, Transaction, WriteTransaction
from palpo.storage.records import Records
from palpo.storage.windows import within
from palpo.streams import topics

m = memberships.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One user's membership of one room."""

    room_id: RoomId
    user_id: str
    membership: Membership
    event_id: str
    sender: UserId
    position: int
    """When it last changed, its display name and avatar included."""
    forgotten: bool = False
    stripped_state: bytes | None = None
    """A JSON array of stripped state; for invites and knocks."""


_RECORDS = Records(Member, memberships)
_KEY = ["room_id", "user_id"]
_UPSERT = upsert(memberships, key=_KEY)
_UPSERT_GONE = upsert(
    memberships, key=_KEY, update=["membership", "event_id", "sender", "position", "stripped_state"]
)
GONE = (LEAVE, BAN)
_ROOM = m.room_id == bindparam("room_id")
_USER = m.user_id == bindparam("user_id")
_GET = Statement(select(*_RECORDS.columns).where(_ROOM, _USER))
_OF_USER = Statement(select(*_RECORDS.columns).where(_USER, m.forgotten == 0))
_CHANGED = Statement(select(*_RECORDS.columns).where(_USER, within(m.position)))
_IN_ROOM = Statement(select(m.user_id).where(_ROOM, m.membership == bindparam("membership")))
_LOCAL = select(m.user_id).join(users, users.c.user_id == m.user_id).where(_ROOM, m.membership == JOIN)
_LOCAL_IN_ROOM = Statement(_LOCAL.limit(bindparam("limit")))
_GUESTS_IN_ROOM = Statement(_LOCAL.where(users.c.is_guest == 1))
_WITH_LOCAL = Statement(
    select(m.room_id)
    .distinct()
    .join(users, users.c.user_id == m.user_id)
    .where(in_list(m.room_id, "room_ids"), m.membership == JOIN)
)
_PENDING = Statement(
    select(*_RECORDS.columns)
    .where(_ROOM, in_list(m.membership, "memberships"))
    .order_by(m.position.desc())
    .limit(bindparam("limit"))
)
_INVITED_OF_SERVER = Statement(
    select(m.user_id)
    .where(_ROOM, m.membership == INVITE, m.user_id.like(bindparam("pattern")))
    .limit(bindparam("limit"))
)
_OF_SERVER = Statement(
    select(m.user_id)
    .where(_ROOM, m.user_id.like(bindparam("pattern")))
    .order_by(m.user_id)
    .limit(bindparam("limit"))
)
_COUNT = Statement(select(m.membership, func.count()).where(_ROOM).group_by(m.membership))
_COUNT_MANY = Statement(
    select(m.room_id, m.membership, func.count())
    .where(in_list(m.room_id, "room_ids"))
    .group_by(m.room_id, m.membership)
)
_EVENT_IDS = Statement(select(m.user_id, m.event_id).where(_ROOM, in_list(m.user_id, "user_ids")))
_ROOMS = Statement(select(m.room_id).where(_USER, m.membership == bindparam("membership")))
_some_rooms = (
    select(
        m.user_id,
        m.room_id,
        func.row_number().over(partition_by=m.user_id, order_by=m.room_id).label("place"),
    )
    .where(in_list(m.user_id, "user_ids"), m.membership == JOIN)
    .subquery()
)
_SOME_ROOMS = Statement(
    select(_some_rooms.c.user_id, _some_rooms.c.room_id).where(_some_rooms.c.place <= bindparam("limit"))
)
_HEROES = Statement(
    select(m.user_id, m.membership)
    .where(_ROOM, in_list(m.membership, "memberships"))
    .order_by(m.position, m.user_id)
    .limit(bindparam("limit"))
)
_other = memberships.alias("other")
_MUTUAL = Statement(
    select(m.room_id)
    .select_from(memberships.join(_other, _other.c.room_id == m.room_id))
    .where(
        _USER,
        m.membership == JOIN,
        _other.c.user_id == bindparam("other"),
        _other.c.membership == JOIN,
    )
    .order_by(m.room_id)
)
_FORGET = Statement(
    update(memberships)
    .where(m.room_id == bindparam("room_key"), m.user_id == bindparam("user_key"))
    .values(forgotten=1)
)


async def put(tx: WriteTransaction, changed: Sequence[Member]) -> None:
    """Store memberships over the ones before them.

    What the user has forgotten stays forgotten if they are banned, say, or a ban is lifted.
    """
    rows = [_RECORDS.values(item) for item in changed]
    await tx.many(_UPSERT, [row for row in rows if row["membership"] not in GONE])
    await tx.many(_UPSERT_GONE, [row for row in rows if row["membership"] in GONE])


async def get(tx: Transaction, room_id: str, user_id: str) -> Member | None:
    """One user's membership of a room, None where there has never been one."""
    return _RECORDS.one(await tx.one(_GET, room_id=room_id, user_id=user_id))


async def event_ids(tx: Transaction, room_id: str, user_ids: Iterable[str]) -> dict[str, str]:
    """The events that made those of the users what they are in a room who have been anything there."""
    return {row[0]: row[1] for row in await tx.all(_EVENT_IDS, room_id=room_id, user_ids=list(user_ids))}


async def of_user(tx: Transaction, user_id: str) -> list[Member]:
    """All of a user's memberships that are not forgotten."""
    return _RECORDS.all(await tx.all(_OF_USER, user_id=user_id))


async def changed(tx: Transaction, user_id: str, *, after: int, upto: int) -> list[Member]:
    """The memberships of a user that last changed at a position in ``(after, upto]``."""
    return _RECORDS.all(await tx.all(_CHANGED, user_id=user_id, after=after, upto=upto))


async def joined_rooms(tx: Transaction, user_id: str) -> list[str]:
    """The rooms that a user is in."""
    return [row[0] for row in await tx.all(_ROOMS, user_id=user_id, membership=JOIN.value)]


async def users_in_room(tx: Transaction, room_id: str, membership: Membership = JOIN) -> list[str]:
    """The users with that membership of a room."""
    return [row[0] for row in await tx.all(_IN_ROOM, room_id=room_id, membership=membership.value)]


async def pending(tx: Transaction, room_id: str, limit: int) -> list[Member]:
    """The newest invites to a room, and knocks."""
    rows = await tx.all(_PENDING, room_id=room_id, memberships=[INVITE.value, KNOCK.value], limit=limit)
    return _RECORDS.all(rows)


async def users_of_server(tx: Transaction, room_id: str, server: str, limit: int) -> list[str]:
    """Up to ``limit`` users of a server who have ever had a membership of a room, in order."""
    rows = await tx.all(_OF_SERVER, room_id=room_id, pattern=f"%:{server}", limit=limit)
    return [row[0] for row in rows if server_name_of(row[0]) == server]


async def is_server_invited(tx: Transaction, room_id: str, server: str) -> bool:
    """Whether any user of a server is invited to a room."""
    rows = await tx.all(_INVITED_OF_SERVER, room_id=room_id, pattern=f"%:{server}", limit=10)
    return any(server_name_of(row[0]) == server for row in rows)


async def local_users_in_room(tx: Transaction, room_id: str, limit: int) -> list[str]:
    """Up to ``limit`` users of this server who are in a room, in no order."""
    return [row[0] for row in await tx.all(_LOCAL_IN_ROOM, room_id=room_id, limit=limit)]


async def with_local_users(tx: Transaction, room_ids: Collection[str]) -> set[str]:
    """Those of the rooms that users of this server are in."""
    if not room_ids:
        return set()
    return {row[0] for row in await tx.all(_WITH_LOCAL, room_ids=list(room_ids))}


async def guests_in_room(tx: Transaction, room_id: str) -> list[UserId]:
    """This server's guests who are in a room."""
    return [row[0] for row in await tx.all(_GUESTS_IN_ROOM, room_id=room_id)]


async def mutual_rooms(tx: Transaction, user_id: str, other: str) -> list[str]:
    """The rooms that both users are in, in order."""
    return [row[0] for row in await tx.all(_MUTUAL, user_id=user_id, other=other)]


async def some_rooms(tx: Transaction, user_ids: Collection[str], limit: int) -> list[tuple[str, str]]:
    """``(user ID, room)``: up to ``limit`` of the rooms that each of the users is in."""
    rows = await tx.all(_SOME_ROOMS, user_ids=list(user_ids), limit=limit)
    return [(row[0], row[1]) for row in rows]


async def counts(tx: Transaction, room_id: str) -> dict[str, int]:
    """How many users have each membership of a room."""
    return {row[0]: row[1] for row in await tx.all(_COUNT, room_id=room_id)}


async def counts_many(tx: Transaction, room_ids: Iterable[str]) -> dict[str, dict[str, int]]:
    """The same for several rooms; those where nobody ever was are left out."""
    found: dict[str, dict[str, int]] = {}
    for room_id, membership, count in await tx.all(_COUNT_MANY, room_ids=list(room_ids)):
        found.setdefault(room_id, {})[membership] = count
    return found


async def first_users(
    tx: Transaction, room_id: str, memberships_: Collection[str], limit: int
) -> list[tuple[str, str]]:
    """``(user, membership)`` of those who have had one of the memberships for longest."""
    rows: Iterable[Row] = await tx.all(_HEROES, room_id=room_id, memberships=list(memberships_), limit=limit)
    return [(row[0], row[1]) for row in rows]


async def forget(tx: WriteTransaction, room_id: str, user_id: str) -> None:
    """Leave a room out of the user's list."""
    await tx.run(_FORGET, room_key=room_id, user_key=user_id)
    tx.notify(topics.MEMBER, user_id)
