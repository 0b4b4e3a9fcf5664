"""Tells other servers of what happens here: one process at a time reads the stream, for all of them.

    stream ─▶ fan-out ─▶ a queue for each server ─▶ one transaction at a time to each

Queues are in memory. What is stored is how far the stream has been read and told of, and a row for each
server that does not answer or is behind; so a server that is told of everything costs nothing. Who goes on
after this process reads again what is not stored as told, and servers know what they hear twice by its ID.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections import Counter
from collections.abc import Collection, Sequence, Set
from contextlib import AbstractAsyncContextManager
from functools import partial

import structlog

from palpo.core.identifiers import ServerName
from palpo.db.engine import Commit, Database
from palpo.db.errors import DatabaseError
from palpo.db.topics import Topics
from palpo.db.transaction import WriteTransaction
from palpo.net.federation_errors import FederationError, ServerError
from palpo.services.federation.sending.destination_queue import (
    DestinationQueue,
    Edu,
    Health,
    Outgoing,
    by_health,
)
from palpo.services.federation.sending.fan_out import FanOut
from palpo.services.federation.sending.news import News
from palpo.services.federation.sending.outgoing_edus import OutgoingEdus
from palpo.services.federation.sending.outgoing_transactions import OutgoingTransactions
from palpo.services.federation.servers.told_servers import ToldServers
from palpo.storage import destination_edus
from palpo.storage import destinations as storage
from palpo.storage.destinations import SENDER, Destination
from palpo.streams import topics
from palpo.streams.clock import Clock
from palpo.streams.consumers import LOOK_S, Consumer, Handler, Progress, Window
from palpo.streams.pace import Pace
from palpo.streams.slots import Slots
from palpo.streams.turns import Turns
from palpo.streams.wakeups import Wakeups

log = structlog.get_logger("palpo.federation")

GATHER_SECONDS = 0.001
"""What happens within so long goes out together: a transaction costs much more than an event in it."""
APART_SECONDS = 0.01
"""The same, where something went out just before."""
STORE_SECONDS = 2.0
"""How often it is stored, at most, how far servers have been told."""
SLOW_MS = 10_000
"""A server that takes so long is stored as being behind: nothing else waits for it."""
ANSWERING_AT_ONCE, NEW_AT_ONCE, FAILING_AT_ONCE = 200, 600, 100
"""Servers that are sent to at once: of those that answered last time, of those that were not asked yet, and
of those that failed. Of the first each is done soon, and too many at once would take each other's time."""
SILENT_AT_ONCE, SILENT_S = 600, 0.25
"""Of those that answered last time and have been silent for so long, others do not wait for so many."""
EACH_TURN = 8
"""Of servers that answered last time, so many are begun with in one turn of the event loop."""
OTHERS, OTHERS_EVERY_S = 4, 0.005
"""Of the others so many in such a time: each may cost a connection, and those come when they want."""
MAX_KNOWN = 100_000
"""Servers of which it is remembered that they answer."""
MAX_STORED_EDUS = 10_000
"""EDUs that are kept for a server that does not answer: of more, the oldest are lost."""
REFUSING = (400, 413, 422)
"""What is answered where there is something wrong with the transaction itself."""
REFUSED_TIMES = 3
"""How often that is answered before less is sent, to find what it is that is wrong."""
PAUSE_MS = 1000
"""How long a server is left alone after the database has failed."""
KINDS = (topics.ROOM_SERVERS, topics.DESTINATION_EDUS, topics.RETRIES)
OF_ROOMS = (topics.HEAD, topics.TYPING, topics.RECEIPTS)
"""These are of interest too, by room: where there is another server."""


class FederationSender(Handler):
    """Keeps every server up to date."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        wakeups: Wakeups,
        fan_out: FanOut,
        transactions: OutgoingTransactions,
        edus: OutgoingEdus,
        told: ToldServers,
        news: News,
    ) -> None:
        self._db = db
        self._clock = clock
        self._wakeups = wakeups
        self._fan_out = fan_out
        self._transactions = transactions
        self._edus = edus
        self._told = told
        self._news = news
        self._leads = False
        self._queues: dict[ServerName, DestinationQueue] = {}
        """Of those that are to be told of something, or that could not be told."""
        self._tasks: dict[ServerName, asyncio.Task[None]] = {}
        self._due: list[tuple[int, ServerName]] = []
        """A heap: when those are tried again that could not be told."""
        self._answering: dict[ServerName, None] = {}
        self._answering_slots = Slots(ANSWERING_AT_ONCE, slow=SILENT_AT_ONCE, long_s=SILENT_S)
        self._new_slots = asyncio.Semaphore(NEW_AT_ONCE)
        self._failing_slots = asyncio.Semaphore(FAILING_AT_ONCE)
        self._pace = Pace(EACH_TURN)
        self._pace_of_others = Pace(OTHERS, every_s=OTHERS_EVERY_S)
        self._stored_s = 0.0
        self._low = 0
        """Everything up to here has been told, or there is a row of who has not been told of it."""
        self._news_since = False
        """Whether there was anything to tell since it was stored how far all have been told."""
        self._news_at = 0
        """The position of the last commit that may have something to tell."""
        self._handled = 0
        """Up to where what happens has been put into queues."""
        self._moved = asyncio.Event()
        """Set, and replaced, when a server has been told, or there is more to tell."""
        self._edus_unknown = False
        self.outcomes: Counter[str] = Counter()
        """How many transactions were ``sent``, ``failed`` or ``refused``."""
        self.consumer = Consumer(
            SENDER, self, db, wakeups, gather_s=GATHER_SECONDS, apart_s=APART_SECONDS, kinds=KINDS
        )
        wakeups.subscribe(self._on_commit)
        wakeups.listen(topics.DESTINATION_EDUS, self._edus_put)
        wakeups.listen(topics.RETRIES, self._retry)

    def by_health(self) -> dict[Health, int]:
        """How many servers there are of each health, of those that there is something to tell."""
        return by_health(self._queues.values())

    async def begin(self, tx: WriteTransaction) -> int:
        """With what happens from now on."""
        return self._wakeups.position

    async def handle(self, window: Window) -> Progress:
        """Put what comes next into the queues, and have it sent."""
        if window.anew:
            await self._begin_anew(window.after)
        if self._edus_unknown:
            await self._find_edus()
        with self._transactions.reading() as reading:
            upto, found = await self._fan_out.read(window.after, window.upto)
            await reading.keep({item.event.event_id: item.pdu for item in found if item.pdu and item.servers})
        turns, now = Turns(), self._clock.now_ms()
        for item in found:
            event = item.event.position, item.event.event_id
            # Those first that take no time to find out about.
            for server in sorted(item.servers, key=lambda name: name not in self._answering):
                await turns.breathe()
                self._queue(server).add_event(event, now)
                self._go_on(server)
        self._news_since = self._news_since or bool(found)
        self._handled = upto
        self._move()
        if not window.anew:
            await self._news.tell(window.after, upto)
        return self._progress(upto)

    async def rest(self) -> float:
        """Try those again that it is time for; the seconds until there may be more to do."""
        now = self._clock.now_ms()
        turns = Turns()
        while self._due and self._due[0][0] <= now:
            await turns.breathe()
            _, server = heapq.heappop(self._due)
            self._go_on(server)
        wait_s = min(LOOK_S, await self._news.rest())
        if self._queues:
            wait_s = min(wait_s, STORE_SECONDS)
        if self._due:
            wait_s = min(wait_s, max(0.05, (self._due[0][0] - now) / 1000))
        return wait_s

    async def stop(self) -> None:
        """Send no more."""
        self._leads = False
        self._move()
        self._edus.attach(None)
        self._told.attach(None)
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()
        self._queues.clear()
        self._due.clear()

    async def _begin_anew(self, after: int) -> None:
        """Know of what is stored, and of nothing else. Who could not be told is tried at once."""
        await self.stop()
        self._low = self._handled = after
        self._leads = self._edus_unknown = True
        self._edus.attach(self._take_edu)
        self._told.attach(self._tell)
        for row in await self._db.read(storage.every):
            self._queues[row.server_name] = DestinationQueue.of(row, after)
            self._go_on(row.server_name)

    async def _find_edus(self) -> None:
        self._edus_unknown = False
        servers = await self._db.read(destination_edus.destinations)
        for server in self._fan_out.permitted(servers):
            self._queue(server).stored_edus = True
            self._go_on(server)

    def _queue(self, server: ServerName) -> DestinationQueue:
        queue = self._queues.get(server)
        if queue is None:
            queue = self._queues[server] = DestinationQueue(server_name=server)
        return queue

    def _go_on(self, server: ServerName) -> None:
        """Send to a server, if there is anything to send, and it is not too early."""
        queue = self._queues.get(server)
        if not self._leads or queue is None or server in self._tasks or queue.idle:
            return
        if queue.retry_ts > self._clock.now_ms():
            self._wait(queue)
            return
        self._tasks[server] = asyncio.get_running_loop().create_task(self._deliver(queue))

    def _wait(self, queue: DestinationQueue) -> None:
        if queue.scheduled_ts != queue.retry_ts:
            queue.scheduled_ts = queue.retry_ts
            heapq.heappush(self._due, (queue.retry_ts, queue.server_name))
            self.consumer.wake()

    async def _deliver(self, queue: DestinationQueue) -> None:
        """Send what there is for a server, one transaction after the other."""
        server = queue.server_name
        try:
            await (self._pace if server in self._answering else self._pace_of_others).turn()
            while (outgoing := await self._transactions.next(queue)) is not None:
                if not await self._attempt(queue, outgoing):
                    break
        except DatabaseError:
            queue.retry_ts = self._clock.now_ms() + PAUSE_MS
        except Exception as error:
            log.exception("federation_sender_failed", destination=server)
            self._failed(queue, error)
        finally:
            self._tasks.pop(server, None)
            if self._queues.get(server) is queue:
                self._settle(queue)

    def _settle(self, queue: DestinationQueue) -> None:
        """See what there is to do for a server that nothing is sent to at the moment."""
        if not queue.idle:
            self._go_on(queue.server_name)
        else:
            self._forget_settled(queue, self._clock.now_ms())
            if queue.row is not None or queue.failures:
                self.consumer.wake()  # Its row is to be changed.

    async def _attempt(self, queue: DestinationQueue, outgoing: Outgoing) -> bool:
        """Send a transaction; whether to go on with the next."""
        server = queue.server_name
        try:
            async with self._slots(queue):
                await self._transactions.send(server, outgoing)
        except ServerError as error:
            if error.status not in REFUSING or not error.errcode or queue.failures + 1 < REFUSED_TIMES:
                self._failed(queue, error)
                return False
            self.outcomes["refused"] += 1
            if not queue.refused():
                log.warning("transaction_given_up", destination=server, error=str(error)[:200])
                await self._forget_edus(server, outgoing)
        except FederationError as error:
            self._failed(queue, error)
            return False
        else:
            self.outcomes["sent"] += 1
            queue.acknowledged()
            self._answers(server)
            self._move()
            await self._forget_edus(server, outgoing)
        return True

    def _slots(self, queue: DestinationQueue) -> AbstractAsyncContextManager[None]:
        """Room to send: servers that do not answer take none from those that do."""
        if queue.failures:
            return self._failing_slots
        return self._answering_slots.one() if queue.server_name in self._answering else self._new_slots

    def _answers(self, server: ServerName) -> None:
        self._answering[server] = None
        if len(self._answering) > MAX_KNOWN:
            del self._answering[next(iter(self._answering))]

    def _failed(self, queue: DestinationQueue, error: Exception) -> None:
        self.outcomes["failed"] += 1
        after_ms = (error.retry_after_ms or 0) if isinstance(error, ServerError) else 0
        now = self._clock.now_ms()
        queue.failed(now, str(error), share=random.uniform(0.75, 1), at_least_ms=after_ms)
        self._answering.pop(queue.server_name, None)
        self._move()
        log.info(
            "destination_failed",
            destination=queue.server_name,
            failures=queue.failures,
            retry_s=round((queue.retry_ts - now) / 1000, 1),
            error=queue.error[:200],
        )

    async def _forget_edus(self, server: ServerName, outgoing: Outgoing) -> None:
        if positions := outgoing.stored_edus:
            await self._db.write(partial(destination_edus.sent, destination=server, positions=positions))

    def _progress(self, upto: int) -> Progress:
        """How far all have been told that have no row, and, where it is time for that, the others' rows."""
        if not self._queues and not self._news_since:
            self._low = upto
            return Progress(upto=upto)
        now_s, now_ms = asyncio.get_running_loop().time(), self._clock.now_ms()
        if now_s - self._stored_s < STORE_SECONDS:
            return Progress(upto=upto, stored=self._low)
        self._stored_s, self._low = now_s, upto
        changed: list[tuple[DestinationQueue, Destination | None]] = []
        for queue in list(self._queues.values()):
            self._forget_settled(queue, now_ms)
            row = queue.stored_as(now_ms, upto=upto, slow_ms=SLOW_MS)
            if row is None and not queue.told:
                self._low = min(self._low, queue.acked)
            if row != queue.row:
                changed.append((queue, row))
        if not changed and not self._news_since:
            return Progress(upto=upto, stored=self._low)
        self._news_since = self._low < upto
        return Progress(upto=upto, stored=self._low, write=partial(self._store, changed))

    async def _store(
        self, changed: Sequence[tuple[DestinationQueue, Destination | None]], tx: WriteTransaction
    ) -> None:
        rows = [row for _, row in changed if row is not None]
        gone = [queue.server_name for queue, row in changed if row is None]
        if changed:
            await storage.put(tx, rows, gone)
            failing = [row.server_name for row in rows if row.failures]
            await destination_edus.forget_oldest(tx, failing, keep=MAX_STORED_EDUS)
        tx.on_commit(partial(self._stored, changed))

    def _stored(self, changed: Sequence[tuple[DestinationQueue, Destination | None]], position: int) -> None:
        now = self._clock.now_ms()
        for queue, row in changed:
            if row is not None and self._leads:
                # It may have been told, and forgotten, while this was on its way: the row is to go again.
                queue = self._queues.setdefault(queue.server_name, queue)
            queue.row = row
            self._forget_settled(queue, now)

    def _forget_settled(self, queue: DestinationQueue, now_ms: int) -> None:
        server = queue.server_name
        known = self._queues.get(server) is queue and server not in self._tasks
        if known and queue.row is None and queue.settled(now_ms):
            del self._queues[server]

    async def _tell(self, server: ServerName) -> None:
        """Until a server has been told of what has happened so far, or cannot be."""
        upto = self._news_at
        while self._is_behind(server, upto):
            await self._moved.wait()

    def _is_behind(self, server: ServerName, upto: int) -> bool:
        """Whether a server that answers is to be told of an event up to a position."""
        if self._leads and self._handled < upto:
            return True
        queue = self._queues.get(server)
        return queue is not None and not queue.failures and queue.has_before(upto)

    def _move(self) -> None:
        """Let those look again who wait for a server to be told."""
        self._moved.set()
        self._moved = asyncio.Event()

    def _take_edu(self, servers: Collection[ServerName], key: object, edu: Edu) -> None:
        for server in self._fan_out.permitted(servers):
            self._queue(server).add_edu(key, edu)
            self._go_on(server)

    def _on_commit(self, commit: Commit) -> None:
        if self._is_news(commit.topics):
            self._news_at = max(self._news_at, commit.position)
        # It may be heard of before it can be read: then a later commit makes it so.
        if self._leads and self._news_at > self.consumer.position:
            self.consumer.wake()

    def _is_news(self, topics_: Topics) -> bool:
        """Whether there may be anything to tell: elsewhere than in rooms that no other server is in."""
        if not self._fan_out.anybody:
            return False
        rooms = (room_id for kind in OF_ROOMS for room_id in topics_.get(kind, ()))
        return topics.PRESENCE in topics_ or any(map(self._fan_out.concerns, rooms))

    def _edus_put(self, servers: Set[str] | None, position: int) -> None:
        if servers is None:
            self._edus_unknown = True
        elif self._leads:
            for server in self._fan_out.permitted(map(ServerName, servers)):
                self._queue(server).stored_edus = True
                self._go_on(server)

    def _retry(self, servers: Set[str] | None, position: int) -> None:
        """Somebody has heard of servers, or wants them tried now."""
        for server in servers or ():
            queue = self._queues.get(ServerName(server))
            if queue is not None:
                queue.heard_from()
                self._go_on(queue.server_name)
