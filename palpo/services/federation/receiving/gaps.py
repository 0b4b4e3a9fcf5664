"""What waits in staging is tried: at once, with what is missing fetched for it, and again while it waits.

One room's events are tried one after the other, many rooms side by side. What rests on one that fails is not
tried in the same go, nor is what came from a server that does not answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import structlog

from palpo.core.canonical_json import decode
from palpo.core.errors import MatrixError, NotFound
from palpo.core.events import SignedEvent
from palpo.core.identifiers import ServerName, server_name_of
from palpo.core.missing import in_order, resting_on
from palpo.core.signed_objects import KeyUnavailable
from palpo.db.errors import DatabaseError
from palpo.db.leases import Lease
from palpo.net.federation_errors import FederationError, ServerUnreachable
from palpo.services.federation.events.incoming_events import IncomingEvents, Taken
from palpo.services.federation.events.pdu_log import PduLog
from palpo.services.federation.events.received_events import ReceivedEvents, Refused
from palpo.services.federation.fetching.missing_events import MissingEvents
from palpo.services.federation.fetching.remote_state import Withheld
from palpo.services.federation.receiving.staging import Staging
from palpo.services.federation.servers.peers import Peers
from palpo.services.federation.servers.resident_rooms import ResidentRooms
from palpo.services.history.room_heads import RoomHead
from palpo.storage.inbound_pdus import InboundPdu
from palpo.streams.background import Background

log = structlog.get_logger("palpo.federation")

WHOLE_S = 60.0
"""Seconds for one event, with all that is missing before it."""
LOOK_S = 5.0
"""Seconds between two looks at what is to be tried again."""
AT_ONCE = 50
"""Rooms in which something is tried at once."""
NO_KEY = "No key that it is signed with can be had"
PASS = 100
"""Events of a room that are tried in one go."""


@dataclass(slots=True)
class _Go:
    """What is tried in a room in one go."""

    rows: Mapping[str, InboundPdu]
    left: list[SignedEvent]
    """In order; those on which there is no verdict yet."""
    silent: set[ServerName] = field(default_factory=set)
    """Servers that did not answer."""

    @property
    def origins(self) -> dict[str, ServerName]:
        """Who has sent each."""
        return {name: row.origin for name, row in self.rows.items()}


class Gaps:
    """Tries it."""

    def __init__(
        self,
        rooms: ResidentRooms,
        received: ReceivedEvents,
        incoming: IncomingEvents,
        staging: Staging,
        missing: MissingEvents,
        peers: Peers,
        background: Background,
        server_name: ServerName,
    ) -> None:
        self._server_name = server_name
        self._rooms = rooms
        self._received = received
        self._incoming = incoming
        self._staging = staging
        self._missing = missing
        self._peers = peers
        self._background = background
        self._going: dict[str, set[str] | None] = {}
        """Rooms in which something is tried now, and what is to be tried there next; None for nothing."""
        self._idle = asyncio.Event()
        self._idle.set()

    async def settled(self) -> None:
        """Wait until nothing is tried any more."""
        await self._idle.wait()

    def begin(self, room_id: str, event_ids: Iterable[str] = ()) -> None:
        """Try what is due in a room, and these events in any case; return at once."""
        if room_id in self._going:
            self._going[room_id] = {*(self._going[room_id] or ()), *event_ids}
        elif len(self._going) < AT_ONCE:
            self._going[room_id] = set(event_ids)
            self._idle.clear()
            self._background.start("gap", self._go_on(room_id))

    async def run(self, _lease: Lease) -> None:
        """Try again what waits until cancelled; one process at a time is enough."""
        resumed = False
        while True:
            try:
                if not resumed:
                    await self._staging.resume()
                    resumed = True
                await self.look()
            except DatabaseError as error:
                log.warning("gaps_not_looked_for", error=str(error))
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Begin to try what is due."""
        for room_id in await self._staging.due_rooms():
            if room_id not in self._going:
                self.begin(room_id)

    async def _go_on(self, room_id: str) -> None:
        try:
            while (also := self._going[room_id]) is not None:
                self._going[room_id] = None
                await self._try(room_id, also)
        except DatabaseError as error:
            log.warning("gap_not_filled", room_id=room_id, error=str(error))
        finally:
            del self._going[room_id]
            if not self._going:
                self._idle.set()

    async def _try(self, room_id: str, also: Collection[str]) -> None:
        rows = {row.event_id: row for row in await self._staging.due(room_id, also=also, limit=PASS)}
        try:
            head = await self._rooms.head(room_id)
        except NotFound:
            await self._staging.done(room_id, rows.keys())
            return
        go = _Go(rows, await self._checked(head, rows))
        await self._judge(room_id, go)
        while go.left:
            event = go.left[0]
            why = await self._fill(room_id, go, event)
            if why is None:
                await self._judge(room_id, go)
            else:
                await self._leave(go, event, why)

    async def _checked(self, head: RoomHead, rows: Mapping[str, InboundPdu]) -> list[SignedEvent]:
        """Those that are signed as they have to be; those that never will be wait no more."""
        items = list(rows.values())
        checked = await self._received.check(
            head.rules, [decode(item.pdu) for item in items], room_id=head.room_id
        )
        good = [item for item in checked if not isinstance(item, Refused)]
        unproved = [
            row
            for row, item in zip(items, checked, strict=True)
            if isinstance(item, Refused) and isinstance(item.error, KeyUnavailable)
        ]
        await self._staging.later(unproved, NO_KEY)
        ordered = in_order(good)
        kept = {event.event_id for event in ordered} | {row.event_id for row in unproved}
        await self._staging.done(head.room_id, rows.keys() - kept)
        for row, item in zip(items, checked, strict=True):
            if isinstance(item, Refused) and row.event_id not in kept:
                await self._staging.refused(row.origin, row.room_id, {row.event_id: item.refusal})
        return ordered

    async def _judge(self, room_id: str, go: _Go) -> None:
        """Have those judged that can be."""
        try:
            taken = await self._incoming.take(room_id, go.left, told_by=go.origins)
        except MatrixError as error:
            log.info("gap_not_filled", room_id=room_id, error=str(error)[:200])
            await self._staging.later((go.rows[event.event_id] for event in go.left), str(error))
            go.left = []
            return
        await self._note(room_id, go, taken, self._server_name)
        judged = [event.event_id for event in go.left if event.event_id not in taken.waiting]
        go.left = [event for event in go.left if event.event_id in taken.waiting]
        await self._staging.done(room_id, judged)

    async def _note(self, room_id: str, go: _Go, taken: Taken, origin: ServerName) -> None:
        """Log verdicts, on what was fetched from ``origin`` too; what waits in the room may rest on it."""
        for item in taken.written:
            row = go.rows.get(item.event_id)
            PduLog(origin if row is None else row.origin).written(room_id, [item], taken.refusals)
        await self._staging.grown(room_id, [item.event_id for item in taken.written])

    async def _fill(self, room_id: str, go: _Go, event: SignedEvent) -> str | None:
        """Fetch what is missing before an event; why there is no verdict on it then, if there is none."""
        row = go.rows[event.event_id]
        why = "The servers that could be asked did not answer just now"
        try:
            async with asyncio.timeout(WHOLE_S) as timer:
                for server in await self._to_ask(row, event):
                    if server in go.silent or self._is_left_alone(row, server):
                        go.silent.add(server)
                        continue
                    error = await self._ask(room_id, go, event, server)
                    if error is None:
                        return None
                    why = str(error)
        except TimeoutError:
            if not timer.expired():
                raise
            self._silent(go, row.origin)
            why = f"Not within {WHOLE_S:g} s"
        PduLog(row.origin).waits(room_id, event.event_id, why)
        return why

    async def _to_ask(self, row: InboundPdu, event: SignedEvent) -> list[ServerName]:
        """Who has sent it, and after a failure other servers in the room too."""
        if not row.tries:
            return [row.origin]
        others = await self._peers.to_ask(row.room_id, [server_name_of(event.sender)])
        return list(dict.fromkeys([row.origin, *others]))

    async def _ask(self, room_id: str, go: _Go, event: SignedEvent, server: ServerName) -> Exception | None:
        """Have one server fill the gap before an event; why it does not."""
        try:
            taken = await self._missing.fill(server, room_id, event)
        except (Withheld, FederationError, MatrixError) as error:
            if isinstance(error, ServerUnreachable):
                self._silent(go, server)
            return error
        await self._note(room_id, go, taken, server)
        return None

    def _silent(self, go: _Go, server: ServerName) -> None:
        go.silent.add(server)
        self._peers.did_not_answer(server)

    def _is_left_alone(self, row: InboundPdu, server: ServerName) -> bool:
        """Whether a server is not asked since it is away: it is for what has just come from there."""
        return bool(row.tries) and self._peers.is_away(server)

    async def _leave(self, go: _Go, event: SignedEvent, why: str) -> None:
        """Let an event wait, and what rests on it: longer each time, unless who sent it does not answer."""
        name = event.event_id
        resting = resting_on(go.left, {name}) - {name}
        others = (go.rows[other] for other in resting)
        silent = go.rows[name].origin in go.silent
        await self._staging.later([go.rows[name]], why, silent=silent)
        await self._staging.later(others, f"It rests on {name}, which waits", silent=silent)
        names = {name, *resting}
        go.left = [item for item in go.left if item.event_id not in names]
