"""Events that other servers have sent or been asked for, taken into rooms that are here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from msgspec.structs import replace

from palpo.core.admission import Missing
from palpo.core.event_hashes import reference_hash
from palpo.core.events import SignedEvent
from palpo.core.identifiers import ServerName
from palpo.core.records.events import EventStatus, Refusal, StoredEvent
from palpo.core.room_versions import EventIdFormat, RoomVersion
from palpo.services.federation.events.policy_servers import PolicyServers
from palpo.services.history.admission import Admission, Admitted
from palpo.services.history.event_store import EventStore
from palpo.services.history.room_heads import RoomHead, RoomHeads
from palpo.services.history.room_writer import RoomWriter


@dataclass(slots=True)
class Outcome:
    """What became of some events."""

    written: list[StoredEvent] = field(default_factory=list)
    """Those that are new here, each with its status."""
    missing: Missing | None = None
    """What the first of the others has to have before it; None where there are none."""
    refusals: dict[str, Refusal] = field(default_factory=dict)
    """Why those that were not accepted were not."""


@dataclass(slots=True)
class Taken:
    """What became of some events, of which none holds up those that do not rest on it."""

    written: list[StoredEvent] = field(default_factory=list)
    """Those that are new here, each with its status."""
    waiting: dict[str, Missing] = field(default_factory=dict)
    """Those on which there can be no verdict yet, and why."""
    refusals: dict[str, Refusal] = field(default_factory=dict)
    """Why those that were not accepted were not."""


class IncomingEvents:
    """Has them judged and written."""

    def __init__(
        self,
        admission: Admission,
        writer: RoomWriter,
        store: EventStore,
        heads: RoomHeads,
        policies: PolicyServers,
    ) -> None:
        self._admission = admission
        self._writer = writer
        self._store = store
        self._heads = heads
        self._policies = policies
        self.verdicts: Counter[EventStatus] = Counter()
        """How many events have come to each."""

    async def admit(
        self,
        room_id: str,
        events: Sequence[SignedEvent],
        *,
        past: bool = False,
        states: Mapping[str, bytes] | None = None,
        relayed: bool = False,
        unsigned: Collection[str] = (),
        fresh: Collection[str] = (),
        told_by: Mapping[str, ServerName] | None = None,
    ) -> Outcome:
        """Judge and write events whose hashes and signatures have been checked, as far as that can be.

        Each has to come after those of them that it refers to. ``past``: they were asked for, and are older
        than what is here. ``states`` has the stored root of the state before those that follow a gap.
        ``relayed``: other servers have to hear of them from this one. Those ``unsigned`` by the room's policy
        server are soft-failed. Those that are ``fresh`` were not here a moment ago. ``told_by`` has who sent
        those of which that is to be noted if they are not accepted. Raises NotFound where the room is not
        known.
        """
        outcome = Outcome()
        waiting = list(events)
        new = set(fresh)
        while waiting:
            build = partial(
                self._admission.build, events=waiting, past=past, states=states, unsigned=unsigned
            )
            builds = partial(self._build, outcome, build, relayed, told_by or {}, new)
            written = await self._writer.admit(room_id, builds)
            outcome.written += written
            self.verdicts.update(item.status for item in written)
            known = {item.event_id for item in written}
            waiting = [event for event in waiting if event.event_id not in known]
            if not written:
                break
        return outcome

    async def take(
        self,
        room_id: str,
        events: Sequence[SignedEvent],
        *,
        states: Mapping[str, bytes] | None = None,
        fresh: Collection[str] = (),
        told_by: Mapping[str, ServerName] | None = None,
    ) -> Taken:
        """As ``admit``, and pass over those that have to wait, and what rests on them."""
        taken = Taken()
        left = list(events)
        unsigned: Collection[str] = ()
        if left:
            left, unsigned = await self._policies.judged(await self._heads.known(room_id), left)
        while left:
            outcome = await self.admit(
                room_id, left, states=states, unsigned=unsigned, fresh=fresh, told_by=told_by
            )
            fresh = ()
            taken.written += outcome.written
            taken.refusals |= outcome.refusals
            if outcome.missing is None:
                break
            # Only now it matters which of the others were here before: mostly there are none.
            known = await self.known(room_id, (event.event_id for event in left))
            left = [event for event in left if event.event_id not in known]
            stuck = _resting_on(left, outcome.missing)
            if stuck is None:
                break
            taken.waiting[stuck.event_id] = outcome.missing
            left.remove(stuck)
        return taken

    async def known(self, room_id: str, event_ids: Iterable[str]) -> dict[str, StoredEvent]:
        """Those of the events that are of the room, and on which there is a verdict."""
        found = await self._store.get_many(event_ids)
        return {
            name: item
            for name, item in found.items()
            if item.status is not EventStatus.OUTLIER and item.event.room_id == room_id
        }

    async def fresh(self, event_ids: Iterable[str]) -> set[str]:
        """Those of the events that are not here."""
        wanted = list(event_ids)
        return set(wanted).difference(await self._store.get_many(wanted))

    async def impostors(self, rules: RoomVersion, events: Sequence[SignedEvent]) -> dict[str, str]:
        """Those whose ID, where it is chosen, is that of another event that is here: what to say of them."""
        if rules.event_id_format is not EventIdFormat.CHOSEN:
            return {}
        stored = await self._store.signed(event.event_id for event in events)
        return {
            event.event_id: "The ID is that of another event"
            for event in events
            if event.event_id in stored and not _is_same(rules, event, stored[event.event_id])
        }

    async def _build(
        self,
        outcome: Outcome,
        build: Callable[..., Awaitable[Admitted]],
        relayed: bool,
        told_by: Mapping[str, ServerName],
        fresh: set[str],
        head: RoomHead,
    ) -> Admitted:
        new = fresh.copy()
        fresh.clear()  # Whoever builds again may do so because they have come meanwhile.
        built = await build(head, fresh=new)
        outcome.missing = built.missing
        refused = {new.event.event_id: new.refusal for new in built.events if new.refusal is not None}
        if refused:
            outcome.refusals |= refused
            built.events = [
                replace(new, told_by=told_by.get(new.event.event_id)) if new.refusal is not None else new
                for new in built.events
            ]
        if relayed:
            built.relay()
        return built


def _is_same(rules: RoomVersion, one: SignedEvent, other: SignedEvent) -> bool:
    return one.room_id == other.room_id and reference_hash(rules, one.pdu) == reference_hash(rules, other.pdu)


def _resting_on(events: Sequence[SignedEvent], missing: Missing) -> SignedEvent | None:
    """The first of the events that refers to all that is missing."""
    for event in events:
        if {*missing.prev_events} <= {*event.prev_events} and {*missing.auth_events} <= {*event.auth_events}:
            return event
    return None
