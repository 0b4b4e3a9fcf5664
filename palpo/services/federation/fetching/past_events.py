"""Events of the past that other servers have told, taken into rooms that are here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import structlog

from palpo.core.errors import MatrixError
from palpo.core.events import SignedEvent
from palpo.core.identifiers import ServerName
from palpo.core.past import Stretch, stretch, unchanged
from palpo.db.engine import Database
from palpo.net.federation_errors import FederationError
from palpo.services.federation.events.incoming_events import IncomingEvents
from palpo.services.federation.fetching.remote_auth import RemoteAuth
from palpo.services.federation.fetching.remote_state import RemoteState, Withheld
from palpo.services.history.event_store import EventStore
from palpo.services.history.room_heads import RoomHead
from palpo.storage import event_edges as storage

log = structlog.get_logger("palpo.federation")

ENOUGH = 20
"""Events over states that are known: with as many, nobody is asked for another state."""
AUTH_ROUNDS = 5
"""Events of which auth events are fetched."""


class PastEvents:
    """Finds the state that they rest on, and has them judged and written."""

    def __init__(
        self,
        db: Database,
        store: EventStore,
        incoming: IncomingEvents,
        states: RemoteState,
        auth: RemoteAuth,
    ) -> None:
        self._db = db
        self._store = store
        self._incoming = incoming
        self._states = states
        self._auth = auth

    async def take(
        self, server: ServerName, head: RoomHead, told: Sequence[SignedEvent], starts: Sequence[str]
    ) -> bool:
        """Take in ``starts`` and what is before them, of events that have been checked.

        What is missing for that, ``server`` is asked for. Whether the first of ``starts`` is here now.
        """
        events = await self._genuine(head, told)
        named = {*events, *starts, *(name for event in events.values() for name in event.prev_events)}
        known = await self._incoming.known(head.room_id, named)
        found = stretch(events, starts, known)
        states: dict[str, bytes] = {}
        if found.rests_on is not None:
            found, states = await self._rested(server, head, found, starts)
        if found.events:
            await self._write(server, head, found.events, states)
        return bool(await self._incoming.known(head.room_id, starts[:1]))

    async def _genuine(self, head: RoomHead, told: Sequence[SignedEvent]) -> dict[str, SignedEvent]:
        impostors = await self._incoming.impostors(head.rules, told)
        return {event.event_id: event for event in told if event.event_id not in impostors}

    async def _rested(
        self, server: ServerName, head: RoomHead, found: Stretch, starts: Sequence[str]
    ) -> tuple[Stretch, dict[str, bytes]]:
        """What can be taken in, and the state before the first of it."""
        events = {event.event_id: event for event in found.events}
        roots = unchanged(events, await self._after(starts))
        known = [event for event in found.events if event.event_id in roots]
        same = Stretch(events=())
        # Forks and merges between have states of their own.
        if known and list(found.events[-len(known) :]) == known:
            same = Stretch(events=known, rests_on=known[0].event_id)
        first = found.events[0]
        if len(known) < ENOUGH and first.event_id not in roots:
            try:
                return found, {first.event_id: await self._states.before(server, head, first)}
            except (Withheld, FederationError, MatrixError) as error:
                log.info("state_not_told", room_id=head.room_id, server=server, error=str(error)[:200])
        return same, {event.event_id: roots[event.event_id] for event in same.events[:1]}

    async def _after(self, starts: Sequence[str]) -> dict[str, bytes]:
        """The states after those of the events that alone are before one that is here."""
        followers = await self._db.read(partial(storage.after, event_ids=starts))
        names = [name for _, name in followers]
        signed = await self._store.signed(names)
        items = await self._store.get_many(names)
        return {
            start: items[name].state_before
            for start, name in followers
            if name in signed and name in items and signed[name].prev_events == (start,)
        }

    async def _write(
        self,
        server: ServerName,
        head: RoomHead,
        events: Sequence[SignedEvent],
        states: Mapping[str, bytes],
    ) -> None:
        left = list(events)
        told_by = dict.fromkeys((event.event_id for event in events), server)
        for _ in range(AUTH_ROUNDS):
            outcome = await self._incoming.admit(
                head.room_id, left, past=True, states=states, told_by=told_by
            )
            written = {item.event_id for item in outcome.written}
            left = [event for event in left if event.event_id not in written]
            missing = outcome.missing
            if not left or missing is None or not missing.auth_events:
                return
            resting = [event for event in left if {*missing.auth_events} <= {*event.auth_events}]
            try:
                await self._auth.fetch(server, head, resting[0], missing.auth_events)
            except (Withheld, FederationError, MatrixError) as error:
                log.info("auth_events_not_told", room_id=head.room_id, server=server, error=str(error)[:200])
                return
