"""What is missing before an event is fetched from the server that sent it, and the event judged.

    /get_missing_events, up to 10 times ─▶ the gap is closed
                                        ─▶ or its end is known: the state there, from /state_ids or /state
                                        ─▶ or nothing before the event is given: it waits
    auth events by /event_auth, or each by /event

Nothing is locked meanwhile: each step looks anew at what is here by then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from palpo.core.events import SignedEvent
from palpo.core.identifiers import ServerName
from palpo.core.missing import edges, history_of, in_order
from palpo.net.federation_errors import FederationError, ServerUnreachable
from palpo.services.federation.events.incoming_events import IncomingEvents, Taken
from palpo.services.federation.fetching.remote_auth import RemoteAuth
from palpo.services.federation.fetching.remote_events import RemoteEvents
from palpo.services.federation.fetching.remote_state import RemoteState, Withheld, room_of
from palpo.services.federation.servers.failed_fetches import FailedFetches
from palpo.services.history.admission import Admission
from palpo.services.history.room_heads import RoomHead, RoomHeads

ROUNDS = 10
LIMIT = 20
"""Events that are asked for in one round: of more, many servers give no more than these."""
AUTH_ROUNDS = 20
"""Events of which auth events are fetched, for one that was sent."""


@dataclass(slots=True)
class _Gap:
    """An event, and what has been found before it."""

    events: dict[str, SignedEvent]
    states: dict[str, bytes] = field(default_factory=dict)
    """By event: the root of the state before it, where what is before it stays missing."""


class MissingEvents:
    """Fetches it."""

    def __init__(
        self,
        heads: RoomHeads,
        incoming: IncomingEvents,
        remote: RemoteEvents,
        states: RemoteState,
        auth: RemoteAuth,
        failed: FailedFetches,
        admission: Admission,
    ) -> None:
        self._admission = admission
        self._heads = heads
        self._incoming = incoming
        self._remote = remote
        self._states = states
        self._auth = auth
        self._failed = failed

    async def fill(self, server: ServerName, room_id: str, event: SignedEvent) -> Taken:
        """Have an event that ``server`` sent judged, with what is missing before it: what was written.

        Raises Withheld where there can be no verdict, FederationError where the server does not answer, and
        MatrixError where what it tells cannot be.
        """
        head = await self._heads.get(room_id)
        gap = await self._close(server, head, event)
        missing = await self._edges(head, gap)
        if event.event_id in missing:
            # Those that it was not asked for just now have been counted before.
            asked = await self._failed.askable(server, missing[event.event_id])
            await self._failed.failed(server, asked)
            raise Withheld("Nothing before it is given")
        if missing:
            await self._find_states(server, head, gap, event, missing)
        return await self._take(server, head, gap)

    async def _close(self, server: ServerName, head: RoomHead, event: SignedEvent) -> _Gap:
        """Find what is before the event, as far as the server gives it."""
        gap = _Gap({event.event_id: event})
        for _ in range(ROUNDS):
            missing = await self._edges(head, gap)
            wanted = {name for names in missing.values() for name in names}
            if not await self._failed.askable(server, wanted):
                break
            sent = await self._before(server, head, missing, wanted)
            found = history_of(event, gap.events | {item.event_id: item for item in sent[0]})
            if len(found) == len(gap.events):
                break
            gap.events = found
            await self._failed.given(server, wanted & found.keys())
            if sent[1] < LIMIT:
                break
        return gap

    async def _before(
        self, server: ServerName, head: RoomHead, latest: Mapping[str, object], wanted: set[str]
    ) -> tuple[list[SignedEvent], int]:
        try:
            return await self._remote.before(
                server, room_of(head), latest, earliest=head.row.extremities, limit=LIMIT
            )
        except FederationError as error:
            await self._failed.failed(server, wanted, silent=isinstance(error, ServerUnreachable))
            raise

    async def _edges(self, head: RoomHead, gap: _Gap) -> dict[str, tuple[str, ...]]:
        outside = {
            name for event in gap.events.values() for name in event.prev_events if name not in gap.events
        }
        return edges(gap.events, await self._incoming.known(head.room_id, outside))

    async def _find_states(
        self,
        server: ServerName,
        head: RoomHead,
        gap: _Gap,
        event: SignedEvent,
        missing: Mapping[str, tuple[str, ...]],
    ) -> None:
        """Find the state where the gap ends. Where it has several ends, all of it is left to be paged."""
        if len(missing) > 1:
            gap.events = {event.event_id: event}
        (end,) = missing if len(missing) == 1 else (event.event_id,)
        gap.states[end] = await self._state(server, head, gap.events[end], missing.get(end, ()))

    async def _state(
        self, server: ServerName, head: RoomHead, event: SignedEvent, missing: Sequence[str]
    ) -> bytes:
        """The state before an event; where all but one right before it are here, by the one that is not."""
        others = [name for name in event.prev_events if name not in missing]
        known = await self._incoming.known(head.room_id, others)
        if len(missing) != 1 or not others or len(known) < len(others):
            return await self._states.before(server, head, event)
        told = await self._states.before(server, head, event, missing[0])
        if head.row.is_partial:
            return told
        return await self._admission.merged(
            head.rules, [told, *(item.state_after for item in known.values())]
        )

    async def _take(self, server: ServerName, head: RoomHead, gap: _Gap) -> Taken:
        """Have all of it judged and written."""
        written = Taken()
        left = in_order(gap.events.values())
        told_by = dict.fromkeys(gap.events, server)
        for _ in range(AUTH_ROUNDS):
            taken = await self._incoming.take(head.room_id, left, states=gap.states, told_by=told_by)
            written.written += taken.written
            written.refusals |= taken.refusals
            left = [event for event in left if event.event_id in taken.waiting]
            if not left:
                return written
            missing = taken.waiting[left[0].event_id].auth_events
            if not missing:
                break
            await self._auth.fetch(server, head, left[0], missing)
        raise Withheld("What it rests on is not given")
