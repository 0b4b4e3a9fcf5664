"""Makes events of drafts: chained onto a room's head, signed and authorized, with the state they lead to.

Where a room has come to have many ends, it is merged first (``RoomBuilder.merge``): a draft's event refers to
all that are left, so that the state before it is the current one.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from palpo.core import state_tree
from palpo.core.auth_rules import auth_types_for, check_auth
from palpo.core.canonical_json import to_json
from palpo.core.errors import AuthError, BadJson
from palpo.core.event_format import MAX_PREV_EVENTS
from palpo.core.events import Event, SignedEvent, StateKey, build_event, stripped
from palpo.core.identifiers import ServerName, UserId
from palpo.core.membership import INVITE, KNOCK, Membership
from palpo.core.records.events import EventStatus
from palpo.core.room_versions import EventIdFormat, RoomVersion
from palpo.core.signing import SigningKey
from palpo.core.state_keys import CREATE, MEMBER
from palpo.core.state_tree import EMPTY_ROOT, Update
from palpo.db.engine import Database
from palpo.services.history.admission import DUMMY, Admission
from palpo.services.history.built import MAX_DEPTH, STRIPPED_TYPES, Built
from palpo.services.history.drafts import Draft, Guard
from palpo.services.history.event_store import EventStore
from palpo.services.history.room_heads import RoomHead, RoomHeads, hash_of
from palpo.storage import memberships as memberships_storage
from palpo.storage.memberships import Member
from palpo.storage.rooms import HeadRow
from palpo.streams.clock import Clock
from palpo.streams.turns import Turns

REFERRED = 10
"""Ends of a room to which an event of ours refers."""
CANDIDATES = 10
"""Users of ours of whom one is looked for who may merge a room."""


class RoomBuilder:
    """Builds in memory; nothing is written."""

    def __init__(
        self,
        store: EventStore,
        heads: RoomHeads,
        admission: Admission,
        db: Database,
        clock: Clock,
        *,
        server_name: ServerName,
        key: SigningKey,
        random_id: Callable[[], str],
    ) -> None:
        self._store = store
        self._heads = heads
        self._admission = admission
        self._db = db
        self._clock = clock
        self.server_name = server_name
        """Whose events these are."""
        self._key = key
        self._random_id = random_id

    async def extend(self, head: RoomHead, drafts: Iterable[Draft], earlier: dict[bytes, bytes]) -> Built:
        """The events that ``drafts`` make on ``head``. Raises AuthError, TooLarge, BadJson.

        ``earlier`` has the nodes of its state that are not stored yet.
        """
        return await self._add_all(Built(head=head, events=[], earlier=earlier), drafts)

    async def adopt(self, events: Sequence[SignedEvent], guard: Guard | None, head: RoomHead) -> Built:
        """Events of ours that were built on an earlier head, and that others have signed too.

        Raises AuthError where the room does not let them in any more, and what ``guard`` raises.
        """
        if guard is not None:
            await guard(head)
        built = await self._admission.build(head, events)
        if len(built.events) < len(events) or any(
            new.status is not EventStatus.ACCEPTED for new in built.events
        ):
            raise AuthError("The room does not permit this any more")
        built.relay()
        return built

    async def create(self, rules: RoomVersion, room_id: str | None, drafts: Sequence[Draft]) -> Built:
        """The same for a room that the first of ``drafts`` creates."""
        return await self._add_all(self._first_event(rules, room_id, drafts[0]), drafts[1:])

    async def merge(self, head: RoomHead, sender: str, *, most: int = REFERRED) -> Built:
        """Events that each refer to as many of a room's ends as they may, so that ``most`` are left.

        They are no more than that, and nobody is shown them. They are the ``sender``'s, or another user's of
        ours who may send them. Raises AuthError where nobody may.
        """
        users = await self._db.read(
            partial(memberships_storage.local_users_in_room, room_id=head.room_id, limit=CANDIDATES)
        )
        error = AuthError("Nobody of this server may send to the room")
        for user in filter(None, dict.fromkeys([sender, *users])):
            try:
                return await self._admission.build(head, await self._merging(head, user, most))
            except AuthError as refused:
                error = refused
        raise error

    async def _merging(self, head: RoomHead, sender: str, most: int) -> list[SignedEvent]:
        made: list[SignedEvent] = []
        ends = list(head.row.extremities)
        draft = Draft(type=DUMMY, sender=UserId(sender), content={})
        keys = _keys(head.rules, draft)
        while ends and len(ends) + len(made) > most:
            some, ends = ends[:MAX_PREV_EVENTS], ends[MAX_PREV_EVENTS:]
            state = await self._admission.state_after(head.rules, some, [*keys, CREATE])
            made.append(await self._authorized(head, draft, keys, state, some))
        return made

    async def _add_all(self, built: Built, drafts: Iterable[Draft]) -> Built:
        turns = Turns()
        for draft in drafts:
            await turns.breathe()
            await self._add(built, draft)
        return built

    def _first_event(self, rules: RoomVersion, room_id: str | None, draft: Draft) -> Built:
        event = self._sign(rules, draft, room_id, 1, (), ())
        check_auth(rules, event, {})
        update = state_tree.build({CREATE: event.event_id})
        row = HeadRow(
            room_id=event.room_id,
            version=rules.id,
            create_event_id=event.event_id,
            head=-1,
            extremities=(),
            depth=0,
            state_root=EMPTY_ROOT,
        )
        built = Built(head=RoomHead(row=row, rules=rules), events=[], new_room=True)
        built.append(event, update)
        return built

    async def _add(self, built: Built, draft: Draft) -> None:
        """Append the event that ``draft`` makes to ``built``. Raises AuthError."""
        head = built.head
        keys = _keys(head.rules, draft)
        auth_state = await self._heads.state(head, [*keys, CREATE])
        # There are more than these only where nobody may merge them.
        ends = head.row.extremities[-MAX_PREV_EVENTS:]
        event = await self._authorized(head, draft, keys, auth_state, ends)
        if event.type == MEMBER:
            built.memberships.append((len(built.events), await self._membership(head, event)))
        built.append(event, None if event.state_key is None else await self._change_state(built, event))

    async def _authorized(
        self,
        head: RoomHead,
        draft: Draft,
        keys: Sequence[StateKey],
        state: Mapping[StateKey, Event],
        ends: Sequence[str],
    ) -> SignedEvent:
        """The event that ``draft`` makes after ``ends``, where the state is ``state``. Raises AuthError.

        What of the state bears on it is at ``keys``.
        """
        rules = head.rules
        auth_events = [state[key] for key in keys if key in state]
        event = self._sign(
            rules,
            draft,
            head.room_id,
            min(head.row.depth + 1, MAX_DEPTH),
            ends,
            [item.event_id for item in auth_events],
            hashes_of=await self._hashes(head, auth_events),
        )
        check_auth(rules, event, state)
        return event

    async def _change_state(self, built: Built, event: Event) -> Update:
        operation = state_tree.update(built.head.state_root, {event.key: event.event_id})
        unsaved = ChainMap(built.nodes, built.earlier) if built.earlier else built.nodes
        return await self._store.read_state(operation, unsaved)

    async def _hashes(self, head: RoomHead, auth_events: Sequence[Event]) -> dict[str, str] | None:
        """The reference hashes of what an event refers to, where its version names them with the ID."""
        rules = head.rules
        if rules.event_id_format is not EventIdFormat.CHOSEN:
            return None
        hashes = dict(head.hashes)
        named = [event_id for event_id in head.row.extremities if event_id not in hashes]
        for event in auth_events:
            if isinstance(event, SignedEvent):
                hashes |= hash_of(rules, event)
            else:
                named.append(event.event_id)
        for event in (await self._store.signed(named)).values():
            hashes |= hash_of(rules, event)
        return hashes

    def _sign(
        self,
        rules: RoomVersion,
        draft: Draft,
        room_id: str | None,
        depth: int,
        prev_events: Sequence[str],
        auth_events: Sequence[str],
        *,
        hashes_of: Mapping[str, str] | None = None,
    ) -> SignedEvent:
        if "\0" in draft.type or "\0" in (draft.state_key or ""):
            raise BadJson("An event's type and state key may not contain NUL")
        chosen = rules.event_id_format is EventIdFormat.CHOSEN
        return build_event(
            rules,
            server_name=self.server_name,
            key=self._key,
            room_id=room_id,
            type=draft.type,
            sender=draft.sender,
            content=draft.content,
            origin_server_ts=self._clock.now_ms()
            if draft.origin_server_ts is None
            else draft.origin_server_ts,
            depth=depth,
            prev_events=prev_events,
            auth_events=auth_events,
            state_key=draft.state_key,
            redacts=draft.redacts,
            event_id=f"${self._random_id()}:{self.server_name}" if chosen else None,
            hashes_of=hashes_of,
        )

    async def _membership(self, head: RoomHead, event: Event) -> Member:
        membership = Membership(event.content["membership"])
        shown: bytes | None = None
        if membership in (INVITE, KNOCK):
            keys = [(type_, "") for type_ in STRIPPED_TYPES]
            if membership == INVITE:
                keys.append((MEMBER, event.sender))
            state = await self._heads.state(head, keys)
            shown = to_json([stripped(item) for item in (*state.values(), event)])
        return Member(
            room_id=event.room_id,
            user_id=event.state_key or "",
            membership=membership,
            event_id=event.event_id,
            sender=event.sender,
            position=0,
            stripped_state=shown,
        )


def _keys(rules: RoomVersion, draft: Draft) -> list[StateKey]:
    return auth_types_for(
        rules, type=draft.type, sender=draft.sender, state_key=draft.state_key, content=draft.content
    )
