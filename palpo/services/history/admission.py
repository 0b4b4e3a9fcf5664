"""Events that others have sent, judged by ``core.admission`` over what is stored, and ready to be written.

    pdus, checked ─▶ build(head) ─▶ Admitted ─▶ RoomWriter.admit

Nothing is written here, and nothing asked of the network: what is not known is said (``Admitted.missing``),
and whoever fetched it comes again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, Final

from msgspec.structs import replace

from palpo.core import admission, state_tree
from palpo.core.admission import Head, Missing, Verdict
from palpo.core.canonical_json import to_json
from palpo.core.driving import drive_async
from palpo.core.errors import AuthError, NotFound
from palpo.core.events import Event, SignedEvent, StateKey, stripped
from palpo.core.membership import INVITE, JOIN, KNOCK, LEAVE, Membership, called, membership_of
from palpo.core.power_levels import PowerLevels
from palpo.core.records.events import Check, EventStatus, Refusal, StoredEvent
from palpo.core.room_versions import RoomVersion
from palpo.core.state_keys import CREATE, HISTORY_VISIBILITY, JOIN_RULES, MEMBER, POWER_LEVELS
from palpo.core.state_tree import EMPTY_ROOT
from palpo.core.visibility import is_public
from palpo.db.engine import Database
from palpo.db.errors import UniqueViolation
from palpo.db.transaction import WriteTransaction
from palpo.services.history.built import MAX_DEPTH, STRIPPED_TYPES, Built
from palpo.services.history.event_store import EventStore
from palpo.services.history.room_heads import RoomHead, hash_of
from palpo.services.history.state_resolver import StateResolver
from palpo.storage import event_edges as event_edges_storage
from palpo.storage import events as events_storage
from palpo.storage import state as state_storage
from palpo.storage.events import NewEvent, Rejudged
from palpo.storage.memberships import Member
from palpo.streams.turns import Turns

DUMMY: Final = "org.matrix.dummy_event"
"""The type of events that only merge ends of a room: Synapse's have it too."""
REFUSED: Final = (EventStatus.REJECTED, EventStatus.SOFT_FAILED)
UNSIGNED: Final = Refusal(Check.POLICY_SERVER, "The room's policy server has not signed it")
BATCH = 500
"""Rows in one transaction."""
WINDOW = 2**20
"""How far above the room's last place an event may stand that follows a gap: further down, what is in the
gap has its places. What depth a sender claims decides within it."""


@dataclass(slots=True, kw_only=True)
class Admitted(Built):
    """As many of the events as could be judged, from the first one on."""

    missing: Missing | None = None
    """What the next one has to have first."""


class Unstored(Exception):
    """A resolution needs what has been judged just now to be stored."""


class Admission:
    """Judges what others have sent."""

    def __init__(self, db: Database, store: EventStore, resolver: StateResolver) -> None:
        self._db = db
        self._store = store
        self._resolver = resolver

    async def build(
        self,
        head: RoomHead,
        events: Sequence[SignedEvent],
        *,
        past: bool = False,
        states: Mapping[str, bytes] | None = None,
        again: Collection[str] = (),
        unsigned: Collection[str] = (),
        fresh: Collection[str] = (),
    ) -> Admitted:
        """Judge events whose hashes and signatures have been checked, each after those that it refers to.

        Those that are stored already are passed over. Stops before one that rests on what is missing, or has
        to be stored first: what is left, the caller has built again. ``past`` ones do not move the head, and
        are no news. ``states`` has, by event ID, the stored root of the state before an event that follows a
        gap: where some of the events before it are here, their states are resolved in it. Those of ``again``
        that were not accepted are judged anew: what they rest on was, or is now known. Those ``unsigned`` by
        the room's policy server are soft-failed. Those that are ``fresh`` were not here a moment ago: nobody
        looks for them in the database. Raises NotFound for a room that has not begun.
        """
        if not (head.row.extremities or states):
            raise NotFound("Room not found")
        names = (event.event_id for event in events)
        known = await self._store.get_many(
            name for name in names if name not in fresh or self._store.kept(name) is not None
        )
        outliers = {
            name
            for name, item in known.items()
            if item.status is EventStatus.OUTLIER or (name in again and item.status in REFUSED)
        }
        run = Run(self._store, self._resolver, head, outliers, states or {}, unsigned)
        turns = Turns()
        for number, event in enumerate(events):
            await turns.breathe()
            name = event.event_id
            if name in run.new or (name in known and name not in outliers):
                continue
            try:
                missing = await run.take(event, past=past)
            except Unstored:
                if run.new:
                    break
                # Those after it are likely to need the same.
                later = [item for item in events[number + 1 :] if item.event_id not in known]
                outliers |= await self._store_outliers(event, later, run.built.nodes)
                missing = await run.take(event, past=past)
            if missing is not None:
                run.built.missing = missing
                break
        if past:
            places = partial(event_edges_storage.places, room_id=head.room_id, event_ids=run.new)
            await run.put_back(await self._db.read(places))
        await run.settle(head)
        return run.built

    def again(self, head: RoomHead, root: bytes) -> Run:
        """A run that judges events of a room again, which begins anew over the stored state ``root``."""
        row = replace(head.row, extremities=(), state_root=root, whole_from=0)
        run = Run(self._store, self._resolver, replace(head, row=row, hashes={}), (), {}, ())
        run.begins = True
        return run

    async def reroot(self, head: RoomHead, root: bytes) -> Admitted:
        """The room with the stored state ``root`` as its current one, which no event has led to."""
        run = Run(self._store, self._resolver, head, (), {}, ())
        row = head.row
        run.built.head = replace(head, row=replace(row, head=row.head + 1, state_root=root))
        await run.settle(head)
        return run.built

    async def corrected(self, head: RoomHead, told: Mapping[str, Sequence[bytes]]) -> Admitted:
        """The room with other states after its newest events: what is there and what others tell, resolved.

        ``told`` has roots of stored states, by event. What comes after these events goes by it; nothing that
        came before is judged again.
        """
        items = await self._store.get_many(head.row.extremities)
        run = Run(self._store, self._resolver, head, (), {}, ())
        roots: list[bytes] = []
        for name in head.row.extremities:
            item = items[name]
            root = await run.resolved([item.state_after, *told.get(name, ())])
            roots.append(root)
            if root != item.state_after:
                run.built.rejudged.append(_with_state_after(item, root))
        root = await run.resolved(roots)
        row = head.row
        if run.built.rejudged or root != row.state_root:
            row = replace(row, head=row.head + 1, state_root=root)
            run.built.head = replace(head, row=row, rerooted=True)
        await run.settle(head)
        return run.built

    async def state_after(
        self, rules: RoomVersion, names: Collection[str], keys: Sequence[StateKey]
    ) -> dict[StateKey, Event]:
        """What is set of ``keys`` once all of these accepted events have come together."""
        events = (await self._store.get_many(names)).values()
        roots = list(dict.fromkeys(item.state_after for item in events))
        resolved = await self._resolver.resolve(rules, roots)
        ids = await self._store.read_state(state_tree.get_many(resolved.root, keys), resolved.new_nodes)
        return {key: item.event for key, item in (await self._store.events_of(ids)).items()}

    async def merged(self, rules: RoomVersion, roots: Sequence[bytes]) -> bytes:
        """The root of what stored states come to, which is stored then."""
        resolved = await self._resolver.resolve(rules, list(dict.fromkeys(roots)))
        nodes = iter(resolved.new_nodes.items())
        while some := dict(islice(nodes, BATCH)):
            await self._db.write(partial(state_storage.insert_nodes, nodes=some))
        return resolved.root

    async def store_outlier(self, event: SignedEvent, nodes: Mapping[bytes, bytes]) -> None:
        """Store an event on which there is no verdict yet, and nodes of states that it leads to."""
        await self._store_as_outliers([event], nodes)

    async def _store_outliers(
        self, event: SignedEvent, later: Sequence[SignedEvent], nodes: Mapping[bytes, bytes]
    ) -> set[str]:
        """Store an event, and state of those that come later as far as all that authorizes it is here."""
        here = set(await self._store.get_many({name for item in later for name in item.auth_events}))
        chosen = {event.event_id: event}
        for item in later:
            if item.state_key is not None and here.union(chosen).issuperset(item.auth_events):
                chosen[item.event_id] = item
        if await self._store_as_outliers(list(chosen.values()), nodes):
            return set(chosen)
        # One of the later ones is stored by now; or this one is.
        if not await self._store_as_outliers([event], nodes):
            await self._check_stored(event)
        return {event.event_id}

    async def _check_stored(self, event: SignedEvent) -> None:
        """Raises UniqueViolation where an event is not there, though it could not be stored."""
        if event.event_id not in await self._db.read(partial(events_storage.statuses, ids=[event.event_id])):
            raise UniqueViolation(f"{event.event_id} could not be stored")

    async def _store_as_outliers(self, events: Sequence[SignedEvent], nodes: Mapping[bytes, bytes]) -> bool:
        """Whether none of them was there."""
        outliers = [
            NewEvent(
                event=event,
                place=0,
                state_before=EMPTY_ROOT,
                state_after=EMPTY_ROOT,
                room_state=EMPTY_ROOT,
                status=EventStatus.OUTLIER,
            )
            for event in events
        ]

        async def unit(tx: WriteTransaction) -> None:
            # One for each: a chain that begins with it is called by its position.
            await events_storage.insert(tx, outliers, await tx.positions(len(outliers)))
            await state_storage.insert_nodes(tx, nodes)

        try:
            await self._db.write(unit)
        except UniqueViolation:
            return False
        return True


@dataclass(slots=True)
class Run:
    """Events of one room that are judged one after the other, and what comes of it."""

    _store: EventStore
    _resolver: StateResolver
    _head: RoomHead
    outliers: Collection[str]
    """Of those that are judged, those that are stored."""
    states: Mapping[str, bytes]
    _unsigned: Collection[str]
    built: Admitted = field(init=False)
    new: dict[str, NewEvent] = field(default_factory=dict)
    begins: bool = False
    """Whether the next event is the first, whatever may be known of those before it."""
    _unstored: SignedEvent | None = None
    """The event that is being judged, if it is not stored."""

    def __post_init__(self) -> None:
        self.built = Admitted(head=self._head, events=[])

    @property
    def _rules(self) -> RoomVersion:
        return self._head.rules

    async def take(self, event: SignedEvent, *, past: bool) -> Missing | None:
        """Judge an event and add it; what is missing for that. Raises Unstored."""
        self._unstored = None if event.event_id in self.outliers else event
        row = self.built.head.row
        now = Head(extremities=frozenset(row.extremities), root=row.state_root)
        told = self.states.get(event.event_id)
        partial_ = self.built.head.row.is_partial
        judging = admission.judge(self._rules, event, None if past else now, told, partial=partial_)
        verdict = await drive_async(judging, self._answer)
        if isinstance(verdict, Missing):
            return verdict
        if event.event_id in self._unsigned:
            verdict = admission.soft_failed(verdict, UNSIGNED)
        moved = now
        if not past:
            moved = await drive_async(admission.advance(now, event, verdict), self._answer)
        may_redact = await self._may_redact_others(event, verdict)
        places = await self._places(event.prev_events)
        place = 1 + max(places.values(), default=0)
        missing = tuple(name for name in event.prev_events if name not in places)
        self.begins = False
        if missing:
            place = max(place, min(max(event.depth, row.place + 1), row.place + WINDOW))
        self._add(event, verdict, moved, place, missing, may_redact_others=may_redact)
        return None

    async def _may_redact_others(self, event: SignedEvent, verdict: Verdict) -> bool:
        """Spec: rooms/v3, "Handling redactions"; before, the authorization rules have said it."""
        if event.redacts is None or self._rules.redaction_by_auth_rule:
            return True
        state = await self._state(verdict.before, [CREATE, POWER_LEVELS])
        try:
            levels = PowerLevels.from_state(self._rules, state.get(CREATE), state.get(POWER_LEVELS))
        except AuthError:
            return False
        return levels.user(event.sender) >= levels.redact

    def _add(
        self,
        event: SignedEvent,
        verdict: Verdict,
        moved: Head,
        place: int,
        missing: tuple[str, ...],
        *,
        may_redact_others: bool,
    ) -> None:
        status = verdict.status
        if status is EventStatus.ACCEPTED and event.type == DUMMY and event.state_key is None:
            status = EventStatus.HIDDEN
        new = NewEvent(
            event=event,
            place=place,
            state_before=verdict.before,
            state_after=verdict.after,
            room_state=moved.root,
            status=status,
            refusal=verdict.refusal,
            # Of those that are not shown too: what is shown may come after them.
            missing=missing,
            stored=event.event_id in self.outliers,
            elsewhere=True,
            may_redact_others=may_redact_others,
        )
        self.new[event.event_id] = new
        self.built.events.append(new)
        head = self.built.head
        row = head.row
        kept = [name for name in row.extremities if name in moved.extremities]
        fresh = [event.event_id] if event.event_id in moved.extremities else []
        hashes = {name: hash_ for name, hash_ in head.hashes.items() if name in moved.extremities}
        self.built.head = replace(
            head,
            row=replace(
                row,
                head=row.head + 1,
                extremities=(*kept, *fresh),
                depth=max(row.depth, min(event.depth, MAX_DEPTH)) if fresh else row.depth,
                place=max(row.place, place) if fresh else row.place,
                state_root=moved.root,
            ),
            hashes={**hashes, **(hash_of(self._rules, event) if fresh else {})},
        )

    async def put_back(self, below: Mapping[str, int]) -> None:
        """Have the events stand before what is here.

        ``below`` has the places that they have to be below, of those of them that have been missing. One that
        nothing is known to refer to stands where its depth says.
        """
        row = self.built.head.row
        floor = row.floor
        places = dict(below)
        for new in reversed(self.built.events):
            event = new.event
            known = await self._places([name for name in event.prev_events if name not in self.new])
            lowest = 1 + max(known.values(), default=0)
            at = places.get(event.event_id)
            place = min(event.depth, row.place) if at is None else min(max(at - 1, lowest), at)
            place = max(place, 1)
            floor -= 1
            self.new[event.event_id] = replace(new, place=place, past=floor, room_state=new.state_after)
            for name in event.prev_events:
                places[name] = min(place, places.get(name, place))
        self.built.events = [self.new[new.event.event_id] for new in self.built.events]
        self.built.head = replace(self.built.head, row=replace(row, floor=floor))

    async def settle(self, before: RoomHead) -> None:
        """Say what has become of memberships."""
        old, new = before.state_root, self.built.head.state_root
        if old == new:
            return
        shown = [item for item in self.built.events if item.status is EventStatus.ACCEPTED]
        if not shown or shown[-1].room_state != new:
            self.built.head = replace(self.built.head, rerooted=True)
        changed = await self._store.read_state(state_tree.diff(old, new), self.built.nodes)
        members = {key: ids for key, ids in changed.items() if key[0] == MEMBER}
        events = await self._events({name for ids in members.values() for name in ids if name is not None})
        last = self.built.positions - 1
        for (_, user_id), (was, now) in members.items():
            event = events[now or was or ""]
            membership = LEAVE if now is None else membership_of(event) or LEAVE
            row = Member(
                room_id=event.room_id,
                user_id=user_id,
                membership=membership,
                event_id=event.event_id,
                sender=event.sender,
                position=0,
                stripped_state=await self._shown(new, event, membership),
            )
            self.built.memberships.append((last, row))
        joined = [events[now] for _, now in members.values() if now is not None]
        self.built.names = await self._names(new, [item for item in joined if membership_of(item) is JOIN])

    async def _names(self, root: bytes, joined: Sequence[Event]) -> dict[str, dict[str, str]]:
        """What users are called who are in a room that is public in the state ``root``."""
        if not joined or not is_public(await self._state(root, [JOIN_RULES, HISTORY_VISIBILITY])):
            return {}
        return {item.state_key or "": called(item.content) for item in joined}

    async def _shown(self, root: bytes, event: Event, membership: Membership) -> bytes | None:
        """What an invite or a knock shows of the room."""
        if membership not in (INVITE, KNOCK):
            return None
        keys = [(type_, "") for type_ in STRIPPED_TYPES] + [(MEMBER, event.sender)]
        state = await self._state(root, keys[:-1] if membership == KNOCK else keys)
        return to_json([stripped(item) for item in (*state.values(), event)])

    async def _state(self, root: bytes, keys: Sequence[StateKey]) -> dict[StateKey, Event]:
        ids = await self._store.read_state(state_tree.get_many(root, keys), self.built.nodes)
        events = await self._events(ids.values())
        return {key: events[name] for key, name in ids.items() if name in events}

    async def _answer(self, request: admission.Request) -> Any:
        match request:
            case admission.NeedAuthEvents():
                return await self._auth_events(request.event_ids)
            case admission.NeedRefused():
                return await self._refused(request.event_ids)
            case admission.NeedRoots():
                return await self._roots(request.event_ids)
            case admission.NeedResolution():
                if self._has_unstored_state():
                    raise Unstored
                resolved = await self._resolver.resolve(self._rules, request.roots, self.built.nodes)
                return self._saved(resolved)
            case admission.NeedState():
                return await self._state(request.root, request.keys)
            case admission.NeedRootWith():
                update = state_tree.update(request.root, {request.key: request.event_id})
                return self._saved(await self._store.read_state(update, self.built.nodes))

    def _has_unstored_state(self) -> bool:
        """Whether a state may have an event in it that is not stored: resolution asks for such."""
        judged = self._unstored
        if judged is not None and judged.state_key is not None:
            return True
        return any(new.event.state_key is not None and not new.stored for new in self.new.values())

    async def resolved(self, roots: Sequence[bytes]) -> bytes:
        """The root of what states come to."""
        different = list(dict.fromkeys(roots))
        if len(different) == 1:
            return different[0]
        return self._saved(await self._resolver.resolve(self._rules, different, self.built.nodes))

    def _saved(self, update: state_tree.Update) -> bytes:
        self.built.nodes.update(update.new_nodes)
        return update.root

    async def _auth_events(self, names: Sequence[str]) -> Mapping[str, tuple[Event, EventStatus]]:
        stored = await self._store.get_many(name for name in names if name not in self.new)
        found: dict[str, tuple[Event, EventStatus]] = {
            name: (item.event, item.status) for name, item in stored.items()
        }
        return found | {
            name: (self.new[name].event, self.new[name].status) for name in names if name in self.new
        }

    async def _refused(self, names: Sequence[str]) -> Mapping[str, Sequence[str]]:
        stored = await self._store.get_many(name for name in names if name not in self.new)
        found = await self._store.signed([name for name, item in stored.items() if item.status in REFUSED])
        return {name: event.prev_events for name, event in found.items()} | {
            name: self.new[name].event.prev_events
            for name in names
            if name in self.new and self.new[name].status in REFUSED
        }

    async def _roots(self, names: Sequence[str]) -> Mapping[str, bytes]:
        if self.begins:
            return {}
        stored = await self._store.get_many(name for name in names if name not in self.new)
        known = {name: item.state_after for name, item in stored.items() if self._is_placed(item)}
        return known | {name: self.new[name].state_after for name in names if name in self.new}

    async def _places(self, names: Sequence[str]) -> Mapping[str, int]:
        stored = await self._store.get_many(name for name in names if name not in self.new)
        known = {name: item.place for name, item in stored.items() if self._is_placed(item)}
        return known | {name: self.new[name].place for name in names if name in self.new}

    def _is_placed(self, item: StoredEvent) -> bool:
        """Whether an event is in the room's history: others can name events of other rooms."""
        return item.status is not EventStatus.OUTLIER and item.event.room_id == self._head.room_id

    async def _events(self, names: Any) -> dict[str, Event]:
        wanted = set(names)
        stored = await self._store.get_many(name for name in wanted if name not in self.new)
        found: dict[str, Event] = {name: item.event for name, item in stored.items()}
        return found | {name: self.new[name].event for name in wanted if name in self.new}


def _with_state_after(item: StoredEvent, root: bytes) -> Rejudged:
    return Rejudged(
        event_id=item.event_id,
        room_id=item.event.room_id,
        status=item.status,
        state_before=item.state_before,
        state_after=root,
    )
