"""Rooms of whose state members were missing, once the whole state is here (MSC3902).

    the state before the join ─▶ members noted, 500 a transaction ─▶ all events since judged again ─▶ the head

What was judged by its auth events alone may turn out to be wrong, in either way. Of what stays accepted, or
not, the states are written as they are found, 500 a transaction. The newest events are judged while the
room's line stands still, and what differs is written in one transaction with the memberships that do.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from msgspec.structs import replace

from palpo.core import state_tree
from palpo.core.errors import LimitExceeded, NotFound
from palpo.core.identifiers import RoomId, ServerName, UserId, server_name_of
from palpo.core.membership import JOIN, LEAVE, membership_of
from palpo.core.records.events import EventStatus, StoredEvent
from palpo.core.state_keys import MEMBER
from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.services.history.admission import Admission, Admitted
from palpo.services.history.beginnings import BATCH, NAMED, Beginnings, Names, forget_omission
from palpo.services.history.event_store import EventStore
from palpo.services.history.replays import Replay, Replayed
from palpo.services.history.room_access import RoomAccess
from palpo.services.history.room_heads import RoomHead, RoomHeads
from palpo.storage import device_lists as device_lists_storage
from palpo.storage import events as events_storage
from palpo.storage import memberships as memberships_storage
from palpo.storage import partial_rooms as partial_rooms_storage
from palpo.storage import room_servers as room_servers_storage
from palpo.storage.memberships import Member
from palpo.storage.partial_rooms import PartialRoom
from palpo.streams import topics
from palpo.streams.clock import Clock
from palpo.streams.turns import Turns
from palpo.streams.wakeups import Wakeups

Tell = Callable[[WriteTransaction, PartialRoom, Collection[ServerName]], Awaitable[None]]
"""``async def tell(tx, room, servers)``: these were in the room, and that was not known."""
WAIT_S = 300.0
"""How long whoever needs the whole state waits for it."""
MAX_DUE = 5000
"""Users of whose devices is told again: the newest changes."""


class Completions:
    """Makes them whole, and knows which are."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        store: EventStore,
        heads: RoomHeads,
        admission: Admission,
        beginnings: Beginnings,
        access: RoomAccess,
        wakeups: Wakeups,
    ) -> None:
        self._db = db
        self._clock = clock
        self._store = store
        self._heads = heads
        self._admission = admission
        self._beginnings = beginnings
        self._access = access
        self._wakeups = wakeups

    async def is_partial(self, room_id: str) -> bool:
        """Whether members are missing in a room's state."""
        return (await self._heads.get(room_id)).row.is_partial

    async def is_missing(self, room_id: str, user_id: str) -> bool:
        """Whether nothing is known of a user in a room, of whose state members are missing."""
        head = await self._heads.get(room_id)
        return head.row.is_partial and await self._heads.membership(head, user_id) is None

    async def wait(self, room_id: RoomId, user_id: UserId, timeout_s: float = WAIT_S) -> None:
        """Return once a room is whole, for a user who may see its state.

        Raises Forbidden, and LimitExceeded where it takes too long.
        """
        await self._wait(room_id, timeout_s, partial(self._access.visible_root, room_id, user_id))

    async def until_whole(self, room_id: RoomId, timeout_s: float = WAIT_S) -> None:
        """Return once a room is whole, whoever waits for it. Raises LimitExceeded where it takes too long."""
        await self._wait(room_id, timeout_s)

    async def _wait(
        self, room_id: RoomId, timeout_s: float, check: Callable[[], Awaitable[object]] | None = None
    ) -> None:
        until = time.monotonic() + timeout_s
        while True:
            position = self._wakeups.position
            try:
                if not (await self._heads.get(room_id)).row.is_partial:
                    return
            except NotFound:
                return
            if check is not None:
                await check()
            remaining = until - time.monotonic()
            if not await self._wakeups.wait({topics.HEAD: {room_id}}, after=position, timeout_s=remaining):
                raise LimitExceeded("The room's members are not all known yet", retry_after_ms=10_000)

    async def note_members(self, room: PartialRoom, root: bytes, tell: Tell) -> set[str]:
        """Note members of the state ``root``, of other servers, of whom nothing is known here so far.

        The membership events of ``root`` that are not noted, as others have followed.
        """
        room_id = room.room_id
        current = (await self._heads.get(room_id)).state_root
        followed: set[str] = set()
        named = 0
        turns = Turns()
        for part in await self._store.read_state(state_tree.parts(root, BATCH)):
            await turns.breathe()
            found = await self._members(part)
            keys = [(MEMBER, user_id) for user_id in found]
            known = await self._store.read_state(state_tree.get_many(current, keys))
            new = {user_id: name for user_id, name in found.items() if (MEMBER, user_id) not in known}
            followed |= {name for user_id, name in found.items() if user_id not in new}
            changed = await self._beginnings.changed(room_id, new)
            others = [member for member in changed if not self._beginnings.is_ours(member)]
            if others:
                names = await self._beginnings.names(root, others) if named < NAMED else {}
                named += len(others)
                await self._db.write(partial(self._put, room, others, names, tell))
        return followed

    async def judge_again(self, room: PartialRoom, root: bytes) -> Judged:
        """Judge what has happened in a room since its join, over the stored state ``root`` before that.

        The newest events are left to ``build``: the room goes on meanwhile.
        """
        judged = self._begun(await self._heads.get(room.room_id), root)
        await self._judge(room, root, judged, left=BATCH)
        return judged

    async def build(
        self,
        room: PartialRoom,
        root: bytes,
        followed: Collection[str],
        tell: Tell,
        judged: Judged,
        head: RoomHead,
    ) -> Admitted:
        """The room with the stored state ``root`` before its join, and what that makes of all since.

        ``followed`` is what ``note_members`` said, ``judged`` what ``judge_again`` has made.
        """
        if not head.row.is_partial:
            return Admitted(head=head, events=[])
        if judged.used:
            judged = self._begun(head, root)
        judged.used = True
        await self._judge(room, root, judged)
        built = judged.replay.end(head)
        servers = judged.servers(built) | _servers((await self._store.get_many(followed)).values())
        servers.discard(self._beginnings.server_name)
        missed = servers - await self._db.read(
            partial(room_servers_storage.joined_of, room_id=room.room_id, servers=servers)
        )
        last = built.positions - 1
        rows = await self._differing(head, built)
        built.memberships = [(last, row) for row in rows]
        due = await self._due(room, built.head.state_root, built.nodes)
        built.besides = partial(_note_whole, room, due, missed, tell)
        return built

    def _begun(self, head: RoomHead, root: bytes) -> Judged:
        return Judged(replay=Replay(db=self._db, clock=self._clock, run=self._admission.again(head, root)))

    async def give_up(self, room: PartialRoom, head: RoomHead) -> Admitted:
        """The room as it is, of which nobody wants to know any more."""
        if not head.row.is_partial or await self._beginnings.is_here(room.room_id):
            return Admitted(head=head, events=[])
        row = replace(head.row, head=head.row.head + 1, whole_from=0)
        built = Admitted(head=replace(head, row=row, rerooted=True, completed=True), events=[])
        built.besides = partial(_note_given_up, room.room_id)
        return built

    async def _judge(self, room: PartialRoom, root: bytes, judged: Judged, *, left: int = 0) -> None:
        """Judge the room's events from the join on that have not been, but for the last ``left``."""
        at = (room.place - 1, "")
        first = True
        while True:
            found = await self._db.read(
                partial(events_storage.ids_from_place, room_id=room.room_id, after=at, limit=BATCH + left)
            )
            if len(found) <= left:
                return
            found = found[:BATCH]
            at = (found[-1][1], found[-1][0])
            names = [name for name, _ in found]
            if first:
                names = [room.event_id, *(name for name in names if name != room.event_id)]
            first = False
            due = [name for name in names if name not in judged.names]
            judged.names.update(due)
            if due:
                await judged.take(await self._part(room, root, due))

    async def _part(self, room: PartialRoom, root: bytes, names: Sequence[str]) -> Replayed:
        stored = await self._store.get_many(names)
        signed = await self._store.signed(names)
        states = {
            name: item.state_before
            for name, item in stored.items()
            if item.after_gap and name != room.event_id
        }
        states[room.event_id] = root
        events = [signed[name] for name in names if name in signed]
        return Replayed(events=events, stored=stored, states=states)

    async def _differing(self, head: RoomHead, built: Admitted) -> list[Member]:
        """The memberships that are not noted as the room's new state has them."""
        rows: list[Member] = []
        turns = Turns()
        new = built.head.state_root
        for part in await self._store.read_state(state_tree.parts(new, BATCH), built.nodes):
            await turns.breathe()
            rows += await self._beginnings.changed(head.room_id, await self._members(part, built.nodes))
        was = await self._gone(head.state_root, new, built.nodes)
        events = await self._store.get_many(was.values())
        rows += [
            Member(
                room_id=head.room_id,
                user_id=user_id,
                membership=LEAVE,
                event_id=name,
                sender=events[name].event.sender,
                position=0,
            )
            for user_id, name in was.items()
            if name in events
        ]
        return rows

    async def _gone(self, before: bytes, after: bytes, nodes: Mapping[bytes, bytes]) -> dict[str, str]:
        """User → membership event, of the members in one state of whom another has none."""
        gone: dict[str, str] = {}
        turns = Turns()
        for part in await self._store.read_state(state_tree.parts(before, BATCH)):
            await turns.breathe()
            was = await self._members(part)
            keys = [(MEMBER, user_id) for user_id in was]
            still = await self._store.read_state(state_tree.get_many(after, keys), nodes)
            gone |= {user_id: name for user_id, name in was.items() if (MEMBER, user_id) not in still}
        return gone

    async def _members(self, part: bytes, nodes: Mapping[bytes, bytes] | None = None) -> dict[str, str]:
        """User → membership event, in a part of a state."""
        found = await self._store.read_state(state_tree.items(part, MEMBER), nodes)
        return {key[1]: name for key, name in found.items()}

    async def _due(self, room: PartialRoom, root: bytes, nodes: Mapping[bytes, bytes]) -> list[str]:
        """Members of whose devices was heard while nobody knew that they were there."""
        changed = await self._db.read(
            partial(device_lists_storage.changed_after, after=room.position, limit=MAX_DUE)
        )
        found = await self._store.read_state(
            state_tree.get_many(root, [(MEMBER, user_id) for user_id in changed]), nodes
        )
        return [key[1] for key in found]

    async def _put(
        self, room: PartialRoom, others: Sequence[Member], names: Names, tell: Tell, tx: WriteTransaction
    ) -> None:
        position = await tx.positions()
        servers = {server_name_of(member.user_id) for member in others if member.membership is JOIN}
        missed = servers - await room_servers_storage.joined_of(tx, room.room_id, servers)
        await self._beginnings.put([_at(member, position) for member in others], names, tx)
        await tell(tx, room, missed)


@dataclass(slots=True, kw_only=True)
class Judged:
    """How far a room has been judged again."""

    replay: Replay
    names: set[str] = field(default_factory=set)
    """The events that have been looked at."""
    used: bool = False
    """Whether a head has been made of it: then it is of no use for another."""
    _joined: set[ServerName] = field(default_factory=set)
    """The servers of joins that hold."""
    _joins: dict[str, ServerName] = field(default_factory=dict)
    """By event, those of other joins."""

    async def take(self, part: Replayed) -> None:
        """Judge some events more."""
        joins = {name: server for name, item in part.stored.items() if (server := _joins(item)) is not None}
        held = set(await self.replay.take(part))
        self._joined |= {server for name, server in joins.items() if name in held}
        self._joins |= {name: server for name, server in joins.items() if name not in held}

    def servers(self, built: Admitted) -> set[ServerName]:
        """The servers of all joins that hold, with those that do only now."""
        held = [new.event.event_id for new in built.events if new.status is EventStatus.ACCEPTED]
        return self._joined | {self._joins[name] for name in held if name in self._joins}


def _joins(item: StoredEvent) -> ServerName | None:
    """The server of a user who joins by an event."""
    event = item.event
    if event.type != MEMBER or event.state_key is None or membership_of(event) is not JOIN:
        return None
    return server_name_of(event.state_key)


def _servers(items: Iterable[StoredEvent]) -> set[ServerName]:
    return {server for item in items if (server := _joins(item)) is not None}


def _at(member: Member, position: int) -> Member:
    return Member(
        room_id=member.room_id,
        user_id=member.user_id,
        membership=member.membership,
        event_id=member.event_id,
        sender=member.sender,
        position=position,
    )


async def _note_given_up(room_id: RoomId, tx: WriteTransaction, position: int) -> None:
    """That members are missing, and which servers there are, stays noted for when somebody joins again."""
    await partial_rooms_storage.give_up(tx, room_id)


async def _note_whole(
    room: PartialRoom,
    due: Sequence[str],
    missed: Collection[ServerName],
    tell: Tell,
    tx: WriteTransaction,
    position: int,
) -> None:
    """Note that nothing is missing in a room, and tell those in it of devices of which they were not told."""
    await forget_omission(tx, room.room_id, position)
    await tell(tx, room, missed)
    await device_lists_storage.record_all(tx, due)
    tx.notify(topics.DEVICE_LIST, *due)
    local = await memberships_storage.local_users_in_room(tx, room.room_id, BATCH)
    tx.notify(topics.MEMBER, *local)
