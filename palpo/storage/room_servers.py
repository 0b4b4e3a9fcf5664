"""Which other servers are in which rooms, by how many of their users."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import bindparam, select

from palpo.core.identifiers import RoomId, ServerName
from palpo.core.membership import BAN, INVITE, JOIN, KNOCK, LEAVE
from palpo.db.statements import Statement, in_list, upsert
from palpo.db.tables.room_servers import room_servers
from palpo.db.tables.rooms import events, memberships, rooms
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.memberships import Member
from palpo.storage.records import Records
from palpo.streams import topics

BATCH = 500
s = room_servers.c
_ENDED = (LEAVE, BAN)
m = memberships.c


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomServer:
    """A server that is or was in a room, or some of whose users are or were asked in."""

    room_id: RoomId
    server_name: ServerName
    joined: int
    """How many of its users are in the room."""
    position: int
    """When the first of them came; 0 where there never was one."""
    left_position: int = 0
    """When the last of them left, where there are none any more."""

    @property
    def never_in(self) -> bool:
        """Whether its users were only invited, or have knocked."""
        return not (self.joined or self.position or self.left_position)

    @property
    def asked_in(self) -> bool:
        """Whether its users were never in, though others may have been asked in before."""
        return not self.joined and self.position == self.left_position

    def was_in(self, position: int) -> bool:
        """Whether it was in the room just before, or after, what is at a position of the stream.

        Only its last stay is known.
        """
        return self.position <= position and (self.joined > 0 or position <= self.left_position)


_RECORDS = Records(RoomServer, room_servers)
_PUT = upsert(room_servers, key=["room_id", "server_name"])
_OF_ROOM = Statement(select(*_RECORDS.columns).where(s.room_id == bindparam("room_id")))
_SOME = Statement(
    select(*_RECORDS.columns).where(in_list(s.room_id, "room_ids"), in_list(s.server_name, "server_names"))
)
_JOINED = Statement(
    select(m.room_id, m.user_id).where(
        in_list(m.room_id, "room_ids"), in_list(m.user_id, "user_ids"), m.membership == JOIN
    )
)
_OF_USERS = Statement(
    select(m.user_id, s.server_name)
    .distinct()
    .join(room_servers, s.room_id == m.room_id)
    .where(in_list(m.user_id, "user_ids"), m.membership == JOIN, s.joined > 0)
)
_LONGEST = Statement(
    select(s.server_name)
    .where(s.room_id == bindparam("room_id"), s.joined > 0)
    .order_by(s.position, s.server_name)
    .limit(bindparam("limit"))
)
_ANY = Statement(select(s.room_id).limit(1))
_SERVERS = Statement(select(s.server_name).distinct())
_ONE = Statement(select(s.room_id).where(s.server_name == bindparam("server_name")).limit(1))
_ROOMS_OF = Statement(
    select(s.room_id, events.c.position)
    .join(rooms, rooms.c.room_id == s.room_id)
    .outerjoin(events, events.c.event_id == rooms.c.newest_outgoing)
    .where(s.server_name == bindparam("server_name"), s.joined > 0)
    .order_by(s.room_id)
)


async def follow(tx: WriteTransaction, changed: Sequence[Member], ours: ServerName) -> None:
    """Count what changes when these memberships, one of each user and room, are stored; before they are.

    Costs a look at each where all are users of ``ours``, which is this server.
    """
    others = [item for item in changed if _server_of(item) != ours]
    if not others:
        return
    # Its lock keeps two changes of one count apart.
    await tx.positions()
    changes, last = await _changes(tx, others)
    asked = {(item.room_id, _server_of(item)) for item in others if item.membership in (INVITE, KNOCK)}
    ended = {(item.room_id, _server_of(item)): item.position for item in others if item.membership in _ENDED}
    if not changes and not asked and not ended:
        return
    stored = await _stored(tx, {*changes, *asked, *ended})
    known = {key: stored.get(key) or _new(key) for key in {*changes, *asked}}
    rows = [_changed(known[key], change, last[key]) for key, change in changes.items()]
    rows += [known[key] for key in asked - changes.keys() if known[key].never_in]
    rows += [
        _told_once(stored[key], position)
        for key, position in ended.items()
        if key in stored and key not in known and stored[key].asked_in
    ]
    if not rows:
        return
    await tx.many(_PUT, [_RECORDS.values(row) for row in rows])
    tx.notify(topics.ROOM_SERVERS, *{row.room_id for row in rows})


async def assume(
    tx: WriteTransaction, room_id: RoomId, servers: Collection[ServerName], change: int, position: int
) -> None:
    """Count a user more of each of the servers, or with a ``change`` of -1 one less.

    So they are in a room of whose members not all are known, whatever becomes of those that are.
    """
    names = list(servers)
    for start in range(0, len(names), BATCH):
        known = await _known(tx, [(room_id, server) for server in names[start : start + BATCH]])
        rows = [_changed(row, change, position) for row in known.values()]
        await tx.many(_PUT, [_RECORDS.values(row) for row in rows])
    tx.notify(topics.ROOM_SERVERS, room_id)


async def of_room(tx: Transaction, room_id: str) -> list[RoomServer]:
    """The servers that are in a room, that were, and whose users were asked in."""
    return _RECORDS.all(await tx.all(_OF_ROOM, room_id=room_id))


async def joined_of(tx: Transaction, room_id: RoomId, servers: Collection[ServerName]) -> set[ServerName]:
    """Those of the servers that are counted as being in a room."""
    known = await _known(tx, [(room_id, server) for server in servers])
    return {row.server_name for row in known.values() if row.joined}


async def longest(tx: Transaction, room_id: str, limit: int) -> list[ServerName]:
    """Some servers that are in a room, those that have been there for longest first."""
    return [row[0] for row in await tx.all(_LONGEST, room_id=room_id, limit=limit)]


async def of_users(tx: Transaction, user_ids: Collection[str]) -> dict[str, set[ServerName]]:
    """User ID → the servers that are in a room that the user is in; users without any are left out."""
    found: dict[str, set[ServerName]] = {}
    for user_id, server in await tx.all(_OF_USERS, user_ids=list(user_ids)):
        found.setdefault(user_id, set()).add(server)
    return found


async def all_servers(tx: Transaction) -> set[ServerName]:
    """Every other server that is or was in a room, or some of whose users were asked into one."""
    return {ServerName(row[0]) for row in await tx.all(_SERVERS)}


async def is_known(tx: Transaction, server_name: str) -> bool:
    """Whether a server is one of those."""
    return await tx.one(_ONE, server_name=server_name) is not None


async def rooms_of(tx: Transaction, server_name: str) -> list[tuple[str, int]]:
    """The rooms that a server is in, each with the position of the newest event that others are told of."""
    return [(row[0], row[1] or 0) for row in await tx.all(_ROOMS_OF, server_name=server_name)]


async def any_room(tx: Transaction) -> bool:
    """Whether any other server is, or was, in a room."""
    return await tx.one(_ANY) is not None


_Key = tuple[RoomId, ServerName]


async def _changes(tx: Transaction, members: Sequence[Member]) -> tuple[dict[_Key, int], dict[_Key, int]]:
    """By how much each count changes that does, and the position of its last change."""
    rows = await tx.all(
        _JOINED,
        room_ids=list({item.room_id for item in members}),
        user_ids=[item.user_id for item in members],
    )
    joined = {(row[0], row[1]) for row in rows}
    changes: Counter[_Key] = Counter()
    last: dict[_Key, int] = {}
    for item in members:
        change = (item.membership == JOIN) - ((item.room_id, item.user_id) in joined)
        if change:
            key = item.room_id, _server_of(item)
            changes[key] += change
            last[key] = max(item.position, last.get(key, 0))
    return {key: change for key, change in changes.items() if change}, last


async def _known(tx: Transaction, keys: Collection[_Key]) -> dict[_Key, RoomServer]:
    """The rows of the keys, those included that are not there yet."""
    return {key: _new(key) for key in keys} | await _stored(tx, keys)


async def _stored(tx: Transaction, keys: Collection[_Key]) -> dict[_Key, RoomServer]:
    """Those that are there."""
    found = await tx.all(
        _SOME, room_ids=list({key[0] for key in keys}), server_names=list({key[1] for key in keys})
    )
    return {(row.room_id, row.server_name): row for row in _RECORDS.all(found)}


def _new(key: _Key) -> RoomServer:
    return RoomServer(room_id=key[0], server_name=key[1], joined=0, position=0)


def _told_once(row: RoomServer, position: int) -> RoomServer:
    """Of a server that is not in the room, but has to hear that its user is not asked in any more."""
    return replace(row, position=position, left_position=position)


def _changed(row: RoomServer, change: int, position: int) -> RoomServer:
    joined = max(0, row.joined + change)
    if joined and not row.joined:
        return replace(row, joined=joined, position=position)
    if row.joined and not joined:
        return replace(row, joined=joined, left_position=position)
    return replace(row, joined=joined)


def _server_of(member: Member) -> ServerName:
    return ServerName(member.user_id.partition(":")[2])
