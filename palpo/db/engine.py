"""The contract that each database engine fulfils, and the database that services hold.

    services -> Database.read(unit)    -> Engine.read
             -> Database.write(unit)   -> GroupCommit -> Engine.commit([unit, unit, ...])

Group commit: writes that wait while another transaction commits are gathered, up to a bound, and
committed as one. If one of a group fails, the group is rolled back and each unit is run again by
itself, so that a failure is only ever its own caller's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, TypeVar

import structlog

from palpo.db.condition import Condition
from palpo.db.errors import AWAY, DatabaseError, OutcomeUnknown, Retriable, Unreachable
from palpo.db.failures import detached, fail
from palpo.db.figures import Figures, PoolFigures
from palpo.db.topics import Topics
from palpo.db.transaction import ReadUnit, WriteUnit
from palpo.db.units import refuse_within_unit

log = structlog.get_logger("palpo.db")

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """What a transaction that has just become visible says to those who wait."""

    position: int
    """The stream position that readers now see; 0 where it took none."""
    topics: Topics = field(default_factory=dict)
    """What has changed."""
    all_topics: bool = False
    """Whether anything may have changed, and ``topics`` does not say what."""
    since: int = 0
    """The position before it. What lies between belongs to this commit, so whoever has heard of commits
    without a gap has heard of all; one for ``all_topics`` stands for all that came before it too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """A group's outcome: each unit's result, in order, and what to tell those who wait."""

    results: Sequence[Any]
    commit: Commit
    callbacks: Sequence[Callable[[int], None]] = ()
    """What the units want called now that their writes are there."""


class Engine(Protocol):
    """One database behind one driver.

    Each statement of a read sees what had been committed when it began: two statements of one read
    may see different states. A write sees its own changes, and others' as they are committed.
    """

    dialect: str

    def pools(self) -> Mapping[str, PoolFigures]:
        """The pools of connections, by what they are for; none where there is no server."""
        ...

    async def open(self) -> None:
        """Connect; raises Unreachable."""
        ...

    async def close(self) -> None:
        """Let go of every connection."""
        ...

    async def read(self, unit: ReadUnit[T]) -> T:
        """Run ``unit`` on a reading connection."""
        ...

    async def commit(self, units: Sequence[WriteUnit[Any]]) -> Committed:
        """Run ``units`` in order in one transaction and commit it; any failure rolls back them all."""
        ...


Group = list[tuple[WriteUnit[Any], asyncio.Future[Any]]]


class GroupCommit:
    """The process's one writer: takes whatever waits, up to ``bound`` units, as one transaction."""

    def __init__(self, engine: Engine, figures: Figures, *, bound: int = 64, attempts: int = 8) -> None:
        self._engine = engine
        self._figures = figures
        self._bound = bound
        self._attempts = attempts
        self._waiting: Group = []
        self._wake = asyncio.Event()
        self._stopping = False
        self._listeners: list[Callable[[Commit], None]] = []
        self.condition = Condition("database, writing")

    @property
    def waiting(self) -> int:
        """How many units wait to be written."""
        return len(self._waiting)

    def listen(self, listener: Callable[[Commit], None]) -> None:
        """Call ``listener`` in the event loop after every commit."""
        self._listeners.append(listener)

    def submit(self, unit: WriteUnit[T]) -> asyncio.Future[T]:
        """Queue ``unit``; the future resolves when it has been committed."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((unit, future))
        self._wake.set()
        return future

    async def run(self) -> None:
        """Commit what waits, until stopped and nothing does.

        If it is ended otherwise, nobody is left waiting for it.
        """
        group: Group = []
        try:
            while not self._stopping:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting:
                    group, self._waiting = self._waiting[: self._bound], self._waiting[self._bound :]
                    await self._commit_group(group)
                    group = []
        finally:
            for _, future in (*group, *self._waiting):
                fail(future, OutcomeUnknown("the database's writer has ended"))

    def stop(self) -> None:
        """Let ``run`` return once everything that waits has been committed."""
        self._stopping = True
        self._wake.set()

    async def _commit_group(self, group: Group) -> None:
        if len(group) > 1:
            try:
                committed = await self._commit([unit for unit, _ in group])
            except AWAY as error:
                self._fail_all(group, detached(error))
                return
            except Exception:  # noqa: BLE001 - whose failure it was shows when each runs alone
                self._figures.failures += 1
            else:
                self._settle(committed, group)
                return
        for number, (unit, future) in enumerate(group):
            away = await self._commit_alone(unit, future)
            if isinstance(away, OutcomeUnknown):
                self._fail_all([(unit, future)], away)
            elif away is not None:
                self._fail_all(group[number:], away)
                return

    async def _commit_alone(self, unit: WriteUnit[Any], future: asyncio.Future[Any]) -> DatabaseError | None:
        """Settle ``future``, but where the database is away: that is returned."""
        for attempt in range(1, self._attempts + 1):
            try:
                committed = await self._commit([unit])
            except Retriable as error:
                if attempt == self._attempts:
                    fail(future, detached(error))
                    return None
                await asyncio.sleep(0.002 * attempt)
            except AWAY as error:
                return detached(error)
            except Exception as error:  # noqa: BLE001 - it is the caller's, who awaits the future
                fail(future, detached(error))
                return None
            else:
                self._settle(committed, [(unit, future)])
                return None
        return None

    async def _commit(self, units: Sequence[WriteUnit[Any]]) -> Committed:
        begun = time.perf_counter()
        try:
            return await self._engine.commit(units)
        finally:
            self._figures.commits.observe(time.perf_counter() - begun)
            self._figures.units += len(units)

    def _fail_all(self, group: Group, error: DatabaseError) -> None:
        """Fail what was to be written; of a database that is out of reach, what waits behind it too.

        Otherwise each would wait for as long as the one before it has.
        """
        self.condition.failed(error)
        for _, future in group:
            fail(future, error)
        if isinstance(error, Unreachable):
            waiting, self._waiting = self._waiting, []
            for _, future in waiting:
                fail(future, error)

    def _settle(self, committed: Committed, group: Group) -> None:
        if self.condition.error is not None:
            self.condition.works()
        for result, (_, future) in zip(committed.results, group, strict=True):
            if not future.done():
                future.set_result(result)
        for listener in self._listeners:
            _call(partial(listener, committed.commit))
        for callback in committed.callbacks:
            _call(partial(callback, committed.commit.position))


def _call(callback: Callable[[], None]) -> None:
    try:
        callback()
    except Exception:
        log.exception("commit_listener_failed")


class Database:
    """The database as services see it: units of work in, results out."""

    def __init__(self, engine: Engine, *, group_bound: int = 64) -> None:
        self.engine = engine
        self.figures = Figures()
        self._writer = GroupCommit(engine, self.figures, bound=group_bound)
        self._task: asyncio.Task[None] | None = None
        self.reading = Condition("database, reading")
        self.writing = self._writer.condition

    @property
    def dialect(self) -> str:
        """``sqlite``, ``postgresql`` or ``mysql``."""
        return self.engine.dialect

    @property
    def waiting(self) -> int:
        """How many units wait to be written."""
        return self._writer.waiting

    def listen(self, listener: Callable[[Commit], None]) -> None:
        """Call ``listener`` after every commit of this process."""
        self._writer.listen(listener)

    async def open(self) -> None:
        """Connect and start the writer."""
        await self.engine.open()
        self._task = asyncio.get_running_loop().create_task(self._writer.run(), name="db-writer")

    async def close(self) -> None:
        """Finish what waits, then disconnect. A closed database is not opened again."""
        if self._task is not None:
            self._writer.stop()
            task, self._task = self._task, None
            await task
        await self.engine.close()

    async def read(self, unit: ReadUnit[T]) -> T:
        """Run ``unit`` for reading."""
        refuse_within_unit("db.read")
        begun = time.perf_counter()
        try:
            result = await self.engine.read(unit)
        except AWAY as error:
            self.reading.failed(error)
            raise
        if self.reading.error is not None:
            self.reading.works()
        self.figures.reads += 1
        self.figures.read_seconds += time.perf_counter() - begun
        return result

    async def write(self, unit: WriteUnit[T]) -> T:
        """Run ``unit`` in a transaction and return its result once that is committed.

        ``unit`` may run several times, so it must have no effect but through its transaction.
        It goes on if the caller is cancelled.
        """
        refuse_within_unit("db.write")
        if self._task is None or self._task.done():
            raise DatabaseError("the database is not open")
        return await asyncio.shield(self._writer.submit(unit))
