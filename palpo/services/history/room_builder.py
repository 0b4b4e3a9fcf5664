"""Makes events of drafts: chained onto a room's head, signed and authorized, with the state they lead to."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from palpo.core import state_tree
from palpo.core.auth_rules import auth_types_for, check_auth
from palpo.core.canonical_json import to_json
from palpo.core.errors import BadJson
from palpo.core.events import Event, SignedEvent, build_event, stripped
from palpo.core.identifiers import ServerName
from palpo.core.membership import INVITE, KNOCK, Membership
from palpo.core.room_versions import EventIdFormat, RoomVersion
from palpo.core.signing import SigningKey
from palpo.core.state_keys import CREATE, MEMBER
from palpo.core.state_tree import EMPTY_ROOT, Update
from palpo.services.history.drafts import Draft
from palpo.services.history.event_store import EventStore
from palpo.services.history.room_heads import RoomHead, RoomHeads, hash_of
from palpo.storage.events import NewEvent
from palpo.storage.memberships import Member
from palpo.storage.rooms import HeadRow
from palpo.streams.clock import Clock
from palpo.streams.turns import Turns

STRIPPED_TYPES = (
    "m.room.create",
    "m.room.name",
    "m.room.avatar",
    "m.room.topic",
    "m.room.join_rules",
    "m.room.canonical_alias",
    "m.room.encryption",
)
"""The state that invites and knocks show, besides the membership itself (spec: "Stripped state")."""
MAX_DEPTH = 2**53 - 1


@dataclass(slots=True, kw_only=True)
class Built:
    """Events that are ready to be written, and the head that they lead to."""

    head: RoomHead
    events: list[NewEvent]
    nodes: dict[bytes, bytes] = field(default_factory=dict)
    """New nodes of the state tree."""
    earlier: dict[bytes, bytes] = field(default_factory=dict)
    """Those that the head came with: they are not stored yet."""
    memberships: list[tuple[int, Member]] = field(default_factory=list)
    """With the index of its event in ``events``."""
    new_room: bool = False

    def append(self, event: SignedEvent, update: Update | None) -> None:
        """Add an event, and what it does to the state; None for a message."""
        before = after = self.head.state_root
        if update is not None:
            after = update.root
            self.nodes.update(update.new_nodes)
        self.head = self.head.advanced(event, after)
        self.events.append(
            NewEvent(
                event=event,
                place=self.head.row.place,
                state_before=before,
                state_after=after,
                room_state=after,
            )
        )


class RoomBuilder:
    """Builds in memory; nothing is written."""

    def __init__(
        self,
        store: EventStore,
        heads: RoomHeads,
        clock: Clock,
        *,
        server_name: ServerName,
        key: SigningKey,
        random_id: Callable[[], str],
    ) -> None:
        self._store = store
        self._heads = heads
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

    async def create(self, rules: RoomVersion, room_id: str | None, drafts: Sequence[Draft]) -> Built:
        """The same for a room that the first of ``drafts`` creates."""
        return await self._add_all(self._first_event(rules, room_id, drafts[0]), drafts[1:])

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
        head, rules = built.head, built.head.rules
        keys = auth_types_for(
            rules, type=draft.type, sender=draft.sender, state_key=draft.state_key, content=draft.content
        )
        auth_state = await self._heads.state(head, [*keys, CREATE])
        auth_events = [auth_state[key] for key in dict.fromkeys(keys) if key in auth_state]
        extremities = head.row.extremities
        event = self._sign(
            rules,
            draft,
            head.room_id,
            min(head.row.depth + 1, MAX_DEPTH),
            extremities,
            [item.event_id for item in auth_events],
            hashes_of=await self._hashes(head, auth_events),
        )
        check_auth(rules, event, auth_state)
        if event.type == MEMBER:
            built.memberships.append((len(built.events), await self._membership(head, event)))
        built.append(event, None if event.state_key is None else await self._change_state(built, event))

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
