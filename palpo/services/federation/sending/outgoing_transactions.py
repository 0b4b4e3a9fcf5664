"""Transactions, which tell other servers of what happens here (spec: server-server API, "Transactions")."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from itertools import count
from urllib.parse import quote

import structlog

from palpo.core.canonical_json import Canonical, decode_object, encode_lax
from palpo.core.identifiers import ServerName
from palpo.db.engine import Database
from palpo.net.connections import Times
from palpo.net.federation_client import FederationClient
from palpo.net.federation_errors import BadAnswer
from palpo.services.federation.sending.destination_queue import (
    MAX_EDUS,
    MAX_PDUS,
    DestinationQueue,
    Edu,
    Outgoing,
)
from palpo.services.history.event_store import EventStore
from palpo.storage import destination_edus, destinations
from palpo.storage.destination_edus import StoredEdu
from palpo.streams import topics
from palpo.streams.caches import Cache, CacheBudget, Reading
from palpo.streams.clock import Clock
from palpo.streams.turns import Turns
from palpo.streams.wakeups import Wakeups

log = structlog.get_logger("palpo.federation")

PATH = "/_matrix/federation/v1/send/"
TIMES = Times(whole_s=90.0, connect_s=10.0, idle_s=60.0)
REPLAYED = 5000
"""Positions of the stream up to which a server that comes back is told of every event; of more, of the newest
of each room, from which it finds the others."""


class PdusRead:
    """Keeps PDUs that were read, as JSON."""

    def __init__(self, reading: Reading[str, bytes]) -> None:
        self._reading = reading

    async def keep(self, pdus: Mapping[str, bytes]) -> None:
        """Keep them, by their events' IDs, but for those that have changed since the read began."""
        read = {name: encode_lax(decode_object(pdu)) async for name, pdu in Turns().over(pdus.items())}
        self._reading.keep(read)


class OutgoingTransactions:
    """Makes them, and sends them."""

    def __init__(
        self,
        server_name: ServerName,
        db: Database,
        clock: Clock,
        wakeups: Wakeups,
        caches: CacheBudget,
        events: EventStore,
        client: FederationClient,
        random_prefix: Callable[[], str] = lambda: secrets.token_hex(6),
    ) -> None:
        self._server_name = server_name
        self._db = db
        self._clock = clock
        self._events = events
        self._client = client
        self._prefix = random_prefix()
        self._numbers = count(1)
        self._pdus: Cache[str, bytes] = caches.cache("outgoing_pdus", share=0.05)
        """In canonical JSON: what many servers are told is read, and encoded, once."""
        wakeups.listen(topics.EVENT, self._forget)

    @contextmanager
    def reading(self) -> Iterator[PdusRead]:
        """A context within which PDUs are read that will be sent soon."""
        with self._pdus.reading() as reading:
            yield PdusRead(reading)

    async def next(self, queue: DestinationQueue) -> Outgoing | None:
        """What to send to a server next: the same until it is acknowledged; None where there is nothing."""
        if queue.sending is None:
            queue.sending = await self._made(queue)
        return queue.sending

    async def send(self, server_name: ServerName, outgoing: Outgoing) -> None:
        """Send one; it has arrived where this raises no FederationError."""
        path = PATH + quote(outgoing.transaction_id, safe="")
        content = self._content(outgoing, await self._load(outgoing.event_ids))
        async with self._client.request(
            server_name, "PUT", path, content=content, limit=1024 * 1024, times=TIMES
        ) as answer:
            try:
                _tell_of_refused(server_name, (await answer.json()).get("pdus"))
            except BadAnswer as error:
                log.info("transaction_answer_malformed", destination=server_name, error=str(error)[:200])

    async def _made(self, queue: DestinationQueue) -> Outgoing | None:
        events, acked = await self._next_events(queue)
        room = MAX_EDUS if queue.most == MAX_PDUS else 0 if events else queue.most
        stored = await self._stored_edus(queue, room)
        lossy = queue.take_edus(room - len(stored))
        if not (events or stored or lossy):
            return None
        return Outgoing(
            transaction_id=f"{self._prefix}{next(self._numbers)}",
            event_ids=[event_id for _, event_id in events],
            edus=[*(_edu(item) for item in stored), *lossy],
            acked=acked,
            stored_edus=[item.position for item in stored],
            lossy=bool(lossy),
            ts=self._clock.now_ms(),
        )

    async def _next_events(self, queue: DestinationQueue) -> tuple[Sequence[tuple[int, str]], int | None]:
        """Positions and IDs of events, and up to where a server is told of all then."""
        while queue.gap is not None:
            upto, limit = queue.gap, min(queue.most, MAX_PDUS)
            found = await self._missed(queue.server_name, queue.acked, upto, limit)
            if found:
                return found, found[-1][0] if len(found) == limit else upto
            queue.caught_up(upto)
        events = queue.next_events()
        return events, events[-1][0] if events else None

    async def _missed(self, server_name: str, after: int, upto: int, limit: int) -> list[tuple[int, str]]:
        read = destinations.every_event if upto - after <= REPLAYED else destinations.newest_events
        found = await self._db.read(lambda tx: read(tx, server_name, after=after, upto=upto, limit=limit))
        return [(item.position, item.event_id) for item in found]

    async def _stored_edus(self, queue: DestinationQueue, room: int) -> list[StoredEdu]:
        if not queue.stored_edus or not room:
            return []
        queue.stored_edus = False  # Unless there are any, or some are put there meanwhile.
        found = await self._db.read(lambda tx: destination_edus.waiting(tx, queue.server_name, room))
        queue.stored_edus = queue.stored_edus or bool(found)
        return found

    def _content(self, outgoing: Outgoing, pdus: Iterable[bytes]) -> Canonical:
        """The transaction's content, with the names in order."""
        fields = encode_lax({"origin": self._server_name, "origin_server_ts": outgoing.ts})
        edus = b",".join(edu.json for edu in outgoing.edus)
        return Canonical(b'{"edus":[%b],%b,"pdus":[%b]}' % (edus, fields[1:-1], b",".join(pdus)))

    async def _load(self, event_ids: Collection[str]) -> list[bytes]:
        found = self._pdus.touch_all(event_ids)
        missing = [event_id for event_id in event_ids if event_id not in found]
        if missing:
            with self._pdus.reading() as reading:
                events = (await self._events.signed(missing)).items()
                read = {name: encode_lax(event.pdu) async for name, event in Turns().over(events)}
                reading.keep(read)
            found |= read
        return [found[event_id] for event_id in event_ids if event_id in found]

    def _forget(self, event_ids: Set[str] | None, position: int) -> None:
        self._pdus.forget(event_ids)


def _edu(stored: StoredEdu) -> Edu:
    return Edu.of(stored.edu_type, decode_object(stored.content))


def _tell_of_refused(server_name: str, results: object) -> None:
    """Log what a server says against events."""
    if not isinstance(results, dict):
        return
    for event_id, result in results.items():
        if isinstance(result, dict) and result.get("error"):
            log.info(
                "pdu_refused", destination=server_name, event_id=event_id, error=str(result["error"])[:200]
            )
