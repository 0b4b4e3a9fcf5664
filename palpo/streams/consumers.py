"""Consumers of the stream: each has a name, a stored position, and a handler of what comes after it.

A handler is shown a window of the stream, ``(after, upto]``. It reads what there is, begins with as much as
fits into one batch, and says how far that goes and what is to be written of it. The write and the
consumer's move are one transaction, so that whatever is killed, each window is stored once. What is done
outside of the database, a handler makes from what it has stored, and does again until it has worked.

One process follows at a time, under the lease of the consumer's name. Where two do, one of them moves the
stored position, and the other reads it anew.
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import partial

import structlog

from palpo.db import consumers
from palpo.db.engine import Commit, Database
from palpo.db.errors import AWAY, DatabaseError
from palpo.db.leases import Lease
from palpo.db.topics import Kind
from palpo.db.transaction import WriteTransaction, WriteUnit
from palpo.streams.backoff import pauses
from palpo.streams.polling import read_position
from palpo.streams.wakeups import Wakeups

log = structlog.get_logger("palpo.consumers")

LOOK_S = 30.0
"""How often the stream is looked at without news."""
REMEMBER_EVERY = 1000
"""Positions with nothing to write after which the consumer's position is stored all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pauses:
    """Seconds between attempts after a failure: the first two, at most, and where the database has failed."""

    first_s: float = 1.0
    longest_s: float = 30.0
    longest_away_s: float = 5.0


PAUSES = Pauses()


class Overtaken(Exception):
    """Another process has gone on from where this one was: what is stored has to be read again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The positions in ``(after, upto]``, which may be none."""

    after: int
    upto: int
    anew: bool
    """Whether ``after`` was read from the database: what was made of other windows may not be stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a handler has come, and what it wants written in the transaction that moves its consumer."""

    upto: int
    write: WriteUnit[None] | None = None
    """May raise Overtaken: then nothing is written, and the consumer does not move."""
    stored: int | None = None
    """How far to store, where that is not as far: who goes on after this process is shown the rest again."""


class Handler(ABC):
    """What is a consumer's own."""

    @abstractmethod
    async def begin(self, tx: WriteTransaction) -> int:
        """Where a consumer that is new begins; in the transaction that stores it."""

    @abstractmethod
    async def handle(self, window: Window) -> Progress:
        """Handle a window, or the beginning of it. It may have been handled before, and not been stored."""

    async def rest(self) -> float:
        """Do what there is to do once everything is handled; the seconds until there may be more of that."""
        return LOOK_S

    async def stop(self) -> None:  # noqa: B027 - most have nothing to end
        """End what was begun: the lease is lost, or the server stops."""


class Consumer:
    """Shows a handler what comes next in the stream, and keeps how far it has come."""

    def __init__(
        self,
        name: str,
        handler: Handler,
        db: Database,
        wakeups: Wakeups,
        *,
        gather_s: float,
        apart_s: float = 0,
        kinds: Collection[Kind] = (),
        after_failure: Pauses = PAUSES,
    ) -> None:
        """``kinds`` of topics wake it, or any commit; what comes within ``gather_s`` is handled together.

        Where much comes, so is what comes within ``apart_s`` of when it was last handled.
        """
        self.name = name
        """Of its position, and of its lease."""
        self.position = 0
        """Everything up to here is handled, as far as this process knows."""
        self._running = False
        self._stored = 0
        self._anew = True
        """Whether what is stored is to be read: it may be another position than ``_stored``."""
        self._handler = handler
        self._db = db
        self._wakeups = wakeups
        self._gather_s = gather_s
        self._apart_s = apart_s
        self._pauses = after_failure
        self._kinds = frozenset(kinds)
        self._news = asyncio.Event()
        self._lock = asyncio.Lock()
        wakeups.subscribe(self._on_commit)

    @property
    def behind(self) -> int:
        """How many positions are not handled yet; 0 where another process has the lease."""
        return max(0, self._wakeups.position - self.position) if self._running else 0

    def wake(self) -> None:
        """Have the handler asked soon: it knows of more to do."""
        self._news.set()

    async def prepare(self) -> None:
        """Read where it is, and begin if it is new; raises DatabaseError."""
        position = await self._db.read(lambda tx: consumers.position_of(tx, self.name))
        if position is None:
            position = await self._db.write(self._register)
        self.position = self._stored = position

    async def run(self, lease: Lease) -> None:
        """Follow the stream, until cancelled."""
        backoff = self._backoff()
        self._anew = self._running = True
        try:
            while True:
                try:
                    pause_s = await self._round()
                    backoff = self._backoff()
                    await self._wait(pause_s)
                except Exception as error:  # noqa: BLE001 - it is said, and tried again
                    await asyncio.sleep(self._failed(error, next(backoff)))
        finally:
            self._running = False
            await self._handler.stop()

    def _backoff(self) -> Iterator[float]:
        return pauses(self._pauses.first_s, self._pauses.longest_s)

    async def catch_up(self, *, batches: int) -> None:
        """Handle what is there, or so many batches of it, whoever has the lease; raises DatabaseError."""
        upto = await self._db.read(read_position)
        for _ in range(batches):
            with contextlib.suppress(Overtaken):
                if await self._advance(upto, anew=True) >= upto:
                    return

    async def _round(self) -> float:
        """Handle all that there is; the longest wait for news."""
        self._news.clear()
        upto = self._wakeups.position
        reached = await self._advance(upto)
        if upto - reached > REMEMBER_EVERY:
            log.info("consumer_behind", **self._where())
        while reached < upto:
            reached = await self._advance(upto)
        return await self._handler.rest()

    async def _wait(self, pause_s: float) -> None:
        loop = asyncio.get_running_loop()
        next_s = loop.time() + self._apart_s
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._news.wait()
        await asyncio.sleep(max(self._gather_s, next_s - loop.time()))

    async def _advance(self, upto: int, *, anew: bool = False) -> int:
        """Have one batch handled and store it; where it ends."""
        async with self._lock:
            anew, self._anew = anew or self._anew, True  # Known again once this is stored.
            if anew:
                await self.prepare()
            window = Window(after=self.position, upto=max(self.position, upto), anew=anew)
            progress = await self._handler.handle(window)
            stored = progress.upto if progress.stored is None else progress.stored
            if progress.write is not None or stored - self._stored >= REMEMBER_EVERY:
                await self._db.write(partial(self._store, stored, progress.write))
                self._stored = stored
            self.position, self._anew = progress.upto, False
            return progress.upto

    async def _register(self, tx: WriteTransaction) -> int:
        position = await self._handler.begin(tx)
        return await consumers.register(tx, self.name, position=position)

    async def _store(self, upto: int, write: WriteUnit[None] | None, tx: WriteTransaction) -> None:
        since = self._stored
        if upto != since and not await consumers.advance(tx, self.name, since=since, to=upto):
            raise Overtaken
        if write is not None:
            await write(tx)

    def _failed(self, error: Exception, pause_s: float) -> float:
        """Say that it failed; the pause, which is short where the database was away."""
        if isinstance(error, DatabaseError | Overtaken):
            pause_s = min(pause_s, self._pauses.longest_away_s)
        say = log.debug if isinstance(error, (*AWAY, Overtaken)) else log.exception
        say("consumer_failed", **self._where(), error=str(error), retry_s=round(pause_s, 2))
        return pause_s

    def _where(self) -> dict[str, str | int]:
        return {"consumer": self.name, "position": self.position, "behind": self.behind}

    def _on_commit(self, commit: Commit) -> None:
        of_interest = not self._kinds or not self._kinds.isdisjoint(commit.topics)
        if commit.all_topics or (of_interest and commit.position > self.position):
            self._news.set()
