"""Rooms that begin here, or begin again, at an event of elsewhere: the join of a user of ours.

    StateImport.store ─▶ root ─▶ RoomWriter.admit(room_id, partial(beginnings.build, event=…, before=root))

Who else is in the room is noted first, in small transactions; the one that moves the
head says what has become of users of ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from msgspec.structs import replace

from palpo.core import state_tree
from palpo.core.canonical_json import decode_object
from palpo.core.errors import AuthError, BadJson
from palpo.core.events import SignedEvent
from palpo.core.identifiers import ServerName
from palpo.core.membership import LEAVE, as_membership
from palpo.core.records.events import EventStatus
from palpo.core.state_keys import MEMBER
from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.services.history.admission import Admission, Admitted
from palpo.services.history.event_store import EventStore
from palpo.services.history.room_heads import RoomHead
from palpo.storage import events as events_storage
from palpo.storage import memberships as memberships_storage
from palpo.storage import room_servers as room_servers_storage
from palpo.storage.memberships import Member
from palpo.streams.turns import Turns

BATCH = 500
"""Rows in one transaction."""


class Beginnings:
    """Begins rooms over a state that others have told."""

    def __init__(
        self, db: Database, store: EventStore, admission: Admission, *, server_name: ServerName
    ) -> None:
        self._db = db
        self._store = store
        self._admission = admission
        self._server_name = server_name

    async def build(self, head: RoomHead, event: SignedEvent, before: bytes) -> Admitted:
        """The room from ``event`` on, whose state before it has the stored root ``before``.

        A room in which a user of ours is goes on: then the event is admitted as any other that follows a
        gap. Raises AuthError for an event that is not allowed, and BadJson where its auth events are not
        here.
        """
        states = {event.event_id: before}
        if await self._is_here(head.room_id):
            return await self._admission.build(head, [event], states=states)
        anew = replace(head, row=replace(head.row, extremities=(), state_root=before), hashes={})
        built = await self._admission.build(anew, [event], states=states)
        if built.missing is not None:
            raise BadJson("What the event rests on is not here")
        for new in built.events:
            if new.status is not EventStatus.ACCEPTED:
                raise AuthError(new.reason or "The event is not allowed")
        if built.events:
            ours = await self._note_members(head.room_id, before)
            built.memberships[:0] = [(0, member) for member in ours]
        return built

    async def _is_here(self, room_id: str) -> bool:
        """Whether a user of ours is in the room, so that it has been followed."""
        joined = await self._db.read(
            partial(memberships_storage.local_users_in_room, room_id=room_id, limit=1)
        )
        return bool(joined)

    async def _note_members(self, room_id: str, root: bytes) -> list[Member]:
        """Store what others are in the state ``root``; what users of ours have become."""
        ours: list[Member] = []
        turns = Turns()
        for part in await self._store.read_state(state_tree.parts(root, BATCH)):
            await turns.breathe()
            state = await self._store.read_state(state_tree.items(part, MEMBER))
            changed = await self._changed(room_id, {key[1]: name for key, name in state.items()})
            others = [member for member in changed if not self._is_ours(member)]
            ours += [member for member in changed if self._is_ours(member)]
            if others:
                await self._db.write(partial(self._put, others))
        return ours

    async def _put(self, others: Sequence[Member], tx: WriteTransaction) -> None:
        await room_servers_storage.follow(tx, others, self._server_name)
        await memberships_storage.put(tx, others)

    async def _changed(self, room_id: str, members: Mapping[str, str]) -> list[Member]:
        """The memberships that are not noted so, by user."""
        known = await self._db.read(partial(memberships_storage.event_ids, room_id=room_id, user_ids=members))
        due = {name for user, name in members.items() if known.get(user) != name}
        if not due:
            return []
        pdus = await self._db.read(partial(events_storage.load_pdus, ids=due))
        return [_member(room_id, name, pdus[name]) for name in members.values() if name in pdus]

    def _is_ours(self, member: Member) -> bool:
        return member.user_id.partition(":")[2] == self._server_name


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
