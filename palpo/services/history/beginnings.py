"""Rooms that begin here, or begin again, at an event of elsewhere: the join of a user of ours.

    StateImport.store ─▶ root ─▶ RoomWriter.admit(room_id, partial(beginnings.build, event=…, before=root))

Who else is in the room is noted first, in small transactions; the one that moves the
head says what has become of users of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from msgspec.structs import replace

from palpo.core import state_tree
from palpo.core.canonical_json import decode_object
from palpo.core.errors import AuthError, BadJson
from palpo.core.events import SignedEvent
from palpo.core.identifiers import RoomId, ServerName
from palpo.core.membership import JOIN, LEAVE, as_membership, called
from palpo.core.records.events import EventStatus
from palpo.core.state_keys import HISTORY_VISIBILITY, JOIN_RULES, MEMBER
from palpo.core.visibility import is_public
from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.services.history.admission import Admission, Admitted
from palpo.services.history.event_store import EventStore
from palpo.services.history.room_heads import RoomHead
from palpo.storage import events as events_storage
from palpo.storage import memberships as memberships_storage
from palpo.storage import partial_rooms as partial_rooms_storage
from palpo.storage import profiles as profiles_storage
from palpo.storage import room_servers as room_servers_storage
from palpo.storage.memberships import Member
from palpo.storage.partial_rooms import PartialRoom
from palpo.streams.turns import Turns

BATCH = 500
"""Rows in one transaction."""
NAMED = 1000
"""Members of a room that is new here whose names are noted: of others it is when they come, or change."""
Names = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Omission:
    """That a server left members out of the state that it told (MSC3706)."""

    via: ServerName
    servers: tuple[ServerName, ...]
    """Those in the room, as it says."""


class Beginnings:
    """Begins rooms over a state that others have told."""

    def __init__(
        self, db: Database, store: EventStore, admission: Admission, *, server_name: ServerName
    ) -> None:
        self._db = db
        self._store = store
        self._admission = admission
        self.server_name = server_name

    async def build(
        self, head: RoomHead, event: SignedEvent, before: bytes, omission: Omission | None = None
    ) -> Admitted:
        """The room from ``event`` on, whose state before it has the stored root ``before``.

        A room in which a user of ours is goes on: then the event is admitted as any other that follows a
        gap. Where members are missing in the state, which ``omission`` says, the room is partial from the
        event on, unless what is before it is here. Raises AuthError for an event that is not allowed, and
        BadJson where its auth events are not here.
        """
        states = {event.event_id: before}
        if await self.is_here(head.room_id):
            return await self._admission.build(head, [event], states=states if omission is None else None)
        anew = replace(head, row=replace(head.row, extremities=(), state_root=before), hashes={})
        follows = await self._follows(head, event)
        if not follows:
            anew = _begun(anew, omission)
        built = await self._admission.build(anew, [event], states=states)
        if built.missing is not None:
            raise BadJson("What the event rests on is not here")
        for new in built.events:
            if new.status is not EventStatus.ACCEPTED:
                raise AuthError("The event is not allowed" if new.refusal is None else new.refusal.reason)
        if built.events:
            ours = await self._note_members(head.room_id, before)
            built.memberships[:0] = [(0, member) for member in ours]
            if not follows:
                place = built.events[0].place
                built.besides = partial(_note_omission, head.room_id, event.event_id, place, omission)
        return built

    async def _follows(self, head: RoomHead, event: SignedEvent) -> bool:
        """Whether all that is right before an event is here, so that the state before it is known by that."""
        noted = await self._db.read(lambda tx: partial_rooms_storage.get(tx, head.room_id))
        if noted is not None and not head.row.is_partial:
            return False  # It was given up: members are missing all the same.
        found = await self._store.get_many(event.prev_events)
        return bool(head.row.extremities) and all(
            name in found
            and found[name].status is not EventStatus.OUTLIER
            and found[name].event.room_id == head.room_id
            for name in event.prev_events
        )

    async def is_here(self, room_id: str) -> bool:
        """Whether a user of ours is in the room, so that it has been followed."""
        joined = await self._db.read(
            partial(memberships_storage.local_users_in_room, room_id=room_id, limit=1)
        )
        return bool(joined)

    async def _note_members(self, room_id: str, root: bytes) -> list[Member]:
        """Store what others are in the state ``root``; what users of ours have become."""
        ours: list[Member] = []
        named = 0
        turns = Turns()
        for part in await self._store.read_state(state_tree.parts(root, BATCH)):
            await turns.breathe()
            state = await self._store.read_state(state_tree.items(part, MEMBER))
            changed = await self.changed(room_id, {key[1]: name for key, name in state.items()})
            others = [member for member in changed if not self.is_ours(member)]
            ours += [member for member in changed if self.is_ours(member)]
            if others:
                names = await self.names(root, others) if named < NAMED else {}
                named += len(others)
                await self._db.write(partial(self.put, others, names))
        return ours

    async def put(self, others: Sequence[Member], names: Names, tx: WriteTransaction) -> None:
        """Store what users of other servers are in a room, and what some are called."""
        await room_servers_storage.follow(tx, others, self.server_name)
        await profiles_storage.note_members(tx, others, self.server_name)
        await profiles_storage.note_names(tx, names, self.server_name, 0)
        await memberships_storage.put(tx, others)

    async def names(self, root: bytes, members: Iterable[Member]) -> dict[str, dict[str, str]]:
        """What members are called, where the state ``root`` is a public room's."""
        state = await self._store.state_events(root, [JOIN_RULES, HISTORY_VISIBILITY])
        if not is_public({key: item.event for key, item in state.items()}):
            return {}
        joined = [member for member in members if member.membership is JOIN]
        ids = [member.event_id for member in joined]
        pdus = await self._db.read(partial(events_storage.load_pdus, ids=ids))
        return {
            member.user_id: called(decode_object(pdus[member.event_id])["content"])
            for member in joined
            if member.event_id in pdus
        }

    async def changed(self, room_id: str, members: Mapping[str, str]) -> list[Member]:
        """The memberships that are not noted so, by user."""
        known = await self._db.read(partial(memberships_storage.event_ids, room_id=room_id, user_ids=members))
        due = {name for user, name in members.items() if known.get(user) != name}
        if not due:
            return []
        pdus = await self._db.read(partial(events_storage.load_pdus, ids=due))
        return [_member(room_id, name, pdus[name]) for name in members.values() if name in pdus]

    def is_ours(self, member: Member) -> bool:
        """Whether that is a user of this server."""
        return member.user_id.partition(":")[2] == self.server_name


def _begun(head: RoomHead, omission: Omission | None) -> RoomHead:
    """The head of a room that begins, and is whole or is not."""
    if omission is not None:
        return replace(head, row=replace(head.row, whole_from=-1))
    return replace(head, row=replace(head.row, whole_from=0), completed=True) if head.row.is_partial else head


async def _note_omission(
    room_id: RoomId,
    event_id: str,
    place: int,
    omission: Omission | None,
    tx: WriteTransaction,
    position: int,
) -> None:
    """Note what is missing from an event on, or that nothing is; what was missing before is not sought."""
    await forget_omission(tx, room_id, position)
    if omission is None:
        return
    noted = PartialRoom(
        room_id=room_id,
        event_id=event_id,
        place=place,
        position=position,
        via=omission.via,
        servers=omission.servers,
    )
    await partial_rooms_storage.put(tx, noted)
    await room_servers_storage.assume(tx, room_id, omission.servers, 1, position)


async def forget_omission(tx: WriteTransaction, room_id: RoomId, position: int) -> None:
    """No members are missing in a room any more, or nobody seeks them."""
    known = await partial_rooms_storage.get(tx, room_id)
    if known is not None:
        await room_servers_storage.assume(tx, room_id, [ServerName(n) for n in known.servers], -1, position)
        await partial_rooms_storage.remove(tx, room_id)


def _member(room_id: str, event_id: str, pdu: bytes) -> Member:
    event = decode_object(pdu)
    return Member(
        room_id=event.get("room_id", room_id),
        user_id=event["state_key"],
        membership=as_membership(event["content"].get("membership")) or LEAVE,
        event_id=event_id,
        sender=event["sender"],
        position=0,
    )
