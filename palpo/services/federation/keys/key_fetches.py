"""Keys of other servers are fetched: from each server itself, and from the notaries, at the same time.

    wanted ─▶ those of one moment are one batch
           ─▶ servers that failed lately are left alone
           ─▶ each other server is asked for its keys, each notary for all of them at once
           ─▶ what counts of an answer is stored; who waits for that server goes on

The first answer that has what is wanted will do. Whoever wants keys of a server that is being asked waits
for the same answers. Where none has them, that is stored, and the server is left alone for a while, which
grows from one failure to the next, over restarts too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import structlog

from palpo.core.identifiers import ServerName
from palpo.core.server_keys import (
    KeyAnswer,
    ServerKey,
    WantedKey,
    check_notary_answer,
    notary_key_ids,
)
from palpo.db.engine import Database
from palpo.db.errors import DatabaseError
from palpo.db.transaction import WriteTransaction
from palpo.services.federation.keys.remote_keys import NOBODY, KeySources, Notary
from palpo.storage import server_signing_keys as storage
from palpo.storage.server_signing_keys import Fetches
from palpo.streams import topics
from palpo.streams.background import Background
from palpo.streams.caches import Cache, CacheBudget
from palpo.streams.clock import Clock
from palpo.streams.task_group import task_group
from palpo.streams.turns import Turns
from palpo.streams.wakeups import Wakeups

log = structlog.get_logger("palpo.federation")

MINUTE_MS = 60_000
FAILED_MS = (15_000, 5 * MINUTE_MS)
"""How long a server is left alone that did not answer: at first, and at most."""
MISSED_MS = (15_000, 2 * MINUTE_MS)
"""The same of one that answered, but not what was wanted: nobody can name keys to have it asked at will, and
a key that it has made since is not waited for long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchBounds:
    """How much is fetched, and for how long."""

    whole_s: float = 10.0
    """Seconds for which anybody waits."""
    server_s: float = 5.0
    """Seconds for one server to answer for itself."""
    notary_s: float = 8.0
    """Seconds for a notary, which may have to ask the servers first."""
    moment_s: float = 0.01
    """Seconds in which what is wanted is gathered: a query to a notary for many servers saves many."""
    at_once: int = 200
    """Servers that are asked at once, of those that answered when they were last asked, and of others."""
    waiting: int = 5000
    """Servers whose keys are wanted at once; others are not asked."""
    wanted: int = 32
    """Keys of one server that are looked for at once."""
    query: int = 50
    """Servers that a notary is asked for in one request."""


BOUNDS = FetchBounds()


@dataclass(slots=True, eq=False)
class _Fetch:
    """One server that is being asked."""

    name: ServerName
    wanted: dict[WantedKey, asyncio.Future[None]] = field(default_factory=dict)
    """Each is done when it is there, or nobody has it."""
    sources: int = 1
    """How many there are that have not answered yet."""
    tried: bool = False
    answered: bool = False
    before: Fetches | None = None

    @property
    def done(self) -> bool:
        """Whether nobody waits for it."""
        return all(future.done() for future in self.wanted.values())

    def settle(self, keys: Iterable[ServerKey] | None) -> None:
        """Let those go on who wait for one of these keys; None: nothing else will come."""
        keys = None if keys is None else tuple(keys)
        for wanted, future in self.wanted.items():
            if not future.done() and (keys is None or any(key.serves(wanted) for key in keys)):
                future.set_result(None)


class KeyFetches:
    """Fetches keys, and stores them."""

    def __init__(
        self,
        server_name: ServerName,
        db: Database,
        clock: Clock,
        wakeups: Wakeups,
        background: Background,
        caches: CacheBudget,
        sources: KeySources,
        *,
        bounds: FetchBounds = BOUNDS,
    ) -> None:
        self._server_name = server_name
        self._db = db
        self._clock = clock
        self._background = background
        self._sources = sources
        self._notaries = {item.name: item for item in self._sources.notaries if item.name != server_name}
        self._bounds = bounds
        self._notaries_alone = dict.fromkeys(self._notaries, (0, 0))
        """How often each has failed, and until when it is left alone."""
        self._fetches: dict[ServerName, _Fetch] = {}
        self._batch: list[_Fetch] = []
        self._turns = {known: asyncio.Semaphore(bounds.at_once) for known in (False, True)}
        self._alone: Cache[ServerName, int] = caches.cache("server_key_fetches")
        """Until when servers are left alone, in milliseconds since the Unix epoch."""
        wakeups.listen(topics.SERVER_KEYS, self._alone.forget)

    async def fetch(self, wanted: Iterable[WantedKey]) -> None:
        """Have keys fetched; those that can be had are stored then, ``whole_s`` later at most."""
        if waiting := self.begin(wanted):
            await asyncio.wait(waiting, timeout=self._bounds.whole_s)

    def begin(self, wanted: Iterable[WantedKey]) -> set[asyncio.Future[None]]:
        """The same, without waiting for it."""
        return {future for item in wanted if (future := self._begin(item)) is not None}

    def _begin(self, wanted: WantedKey) -> asyncio.Future[None] | None:
        """What is done when a key is there, or nobody has it; None where nobody is asked for it now."""
        name = wanted.server_name
        fetch = self._fetches.get(name) or self._new_fetch(name)
        if fetch is None or (wanted not in fetch.wanted and len(fetch.wanted) >= self._bounds.wanted):
            return None
        return fetch.wanted.setdefault(wanted, asyncio.get_running_loop().create_future())

    def _new_fetch(self, name: ServerName) -> _Fetch | None:
        if self._sources is NOBODY or name == self._server_name:
            return None
        alone = (self._alone.touch(name) or 0) > self._clock.now_ms()
        if alone or len(self._fetches) >= self._bounds.waiting:
            return None
        if not self._batch:
            self._background.start("server-keys", self._run())
        fetch = self._fetches[name] = _Fetch(name)
        self._batch.append(fetch)
        return fetch

    async def _run(self) -> None:
        """Ask those whose keys are wanted in this moment."""
        batch: Sequence[_Fetch] = self._batch
        try:
            await asyncio.sleep(self._bounds.moment_s)
            batch, self._batch = self._batch, []
            try:
                async with asyncio.timeout(self._bounds.whole_s):
                    await self._ask(batch)
            except TimeoutError:
                await self._failed([fetch for fetch in batch if fetch.tried])
        except DatabaseError as error:
            log.warning("server_keys_not_fetched", error=str(error), servers=len(batch))
        finally:
            self._end(batch)

    async def _ask(self, batch: Sequence[_Fetch]) -> None:
        now = self._clock.now_ms()
        names = [fetch.name for fetch in batch]
        known = await self._db.read(lambda tx: storage.fetches_of(tx, names))
        due = []
        for fetch in batch:
            fetch.before = known.get(fetch.name)
            if fetch.before is None or fetch.before.next_ts <= now:
                due.append(fetch)
            else:
                self._alone.keep({fetch.name: fetch.before.next_ts})
                self._end([fetch])
        await self._ask_everybody(due)

    async def _ask_everybody(self, due: Sequence[_Fetch]) -> None:
        """Ask each server, and each notary about those that are none themselves."""
        others = [fetch for fetch in due if fetch.name not in self._notaries]
        parts = [others[at : at + self._bounds.query] for at in range(0, len(others), self._bounds.query)]
        now = self._clock.now_ms()
        notaries = [self._notaries[name] for name in self._notaries if self._notaries_alone[name][1] <= now]
        for fetch in others:
            fetch.sources += len(notaries)
        async with task_group() as group:
            for fetch in due:
                group.create_task(self._ask_server(fetch))
            for notary in notaries:
                for part in parts:
                    group.create_task(self._ask_notary(notary, part))

    async def _ask_server(self, fetch: _Fetch) -> None:
        before = fetch.before
        async with self._turns[before is not None and before.answered_ts > 0 and before.failures == 0]:
            fetch.tried = True
            answer = await self._sources.of_server(
                fetch.name, clock=self._clock, timeout_s=self._bounds.server_s
            )
        if answer is not None:
            await self._accept([(fetch, answer)], direct=True)
        await self._exhausted([fetch])

    async def _ask_notary(self, notary: Notary, part: Sequence[_Fetch]) -> None:
        by_name = {fetch.name: fetch for fetch in part}
        turns = Turns()
        answers = [
            (by_name[answer.server_name], answer)
            async for answer in turns.over(await self._answers_of(notary, part))
        ]
        if answers:
            await self._accept(answers, direct=False)
        await self._exhausted(part)

    async def _answers_of(self, notary: Notary, part: Sequence[_Fetch]) -> Iterable[KeyAnswer]:
        """What a notary says of servers: what counts of it, each of which is checked when it is its turn."""
        wanted = [item for fetch in part for item in fetch.wanted]
        answers = await self._sources.of_notary(notary, wanted, timeout_s=self._bounds.notary_s)
        if answers is None:
            failures = self._notaries_alone[notary.name][0] + 1
            until_ts = self._clock.now_ms() + pause_ms(failures, answered=False)
            self._notaries_alone[notary.name] = failures, until_ts
            return ()
        self._notaries_alone[notary.name] = 0, 0
        keys = notary.verify_keys or await self._keys_of(notary, notary_key_ids(answers, notary.name))
        names = {fetch.name for fetch in part}
        return check_notary_answer(answers, names, notary.name, keys, now_ms=self._clock.now_ms())

    async def _keys_of(self, notary: Notary, key_ids: Iterable[str]) -> dict[str, str]:
        """Those keys of a notary that it may sign with now, by ID; fetched where they are not known."""
        now = self._clock.now_ms()
        wanted = [WantedKey(server_name=notary.name, key_id=key_id, valid_until_ts=now) for key_id in key_ids]
        found = await self._stored(notary.name, wanted)
        if not found:
            await self.fetch(wanted)
            found = await self._stored(notary.name, wanted)
        return {key.key_id: key.verify_key for key in found}

    async def _stored(self, name: ServerName, wanted: Sequence[WantedKey]) -> list[ServerKey]:
        keys = (await self._db.read(lambda tx: storage.keys_of(tx, [name])))[name]
        return [key for key in keys if any(map(key.serves, wanted))]

    async def _accept(self, answers: Sequence[tuple[_Fetch, KeyAnswer]], *, direct: bool) -> None:
        """Store answers; who waits for what is there now goes on."""
        now = self._clock.now_ms()

        async def unit(tx: WriteTransaction) -> list[tuple[ServerKey, ...]]:
            return [
                await storage.store_answer(tx, answer, now_ms=now, direct=direct) for _, answer in answers
            ]

        stored = await self._db.write(unit)
        for (fetch, _), keys in zip(answers, stored, strict=True):
            fetch.answered = True
            fetch.settle(keys)
            if fetch.done:
                self._end([fetch])

    async def _exhausted(self, fetches: Sequence[_Fetch]) -> None:
        """One of those who were asked about these servers has said all that it has to say."""
        for fetch in fetches:
            fetch.sources -= 1
        await self._failed([fetch for fetch in fetches if fetch.sources == 0])

    async def _failed(self, fetches: Sequence[_Fetch]) -> None:
        """Nobody has all that is wanted of these servers."""
        now = self._clock.now_ms()
        next_ts: dict[ServerName, tuple[int, int]] = {}
        for fetch in fetches:
            if not fetch.done:
                failures = 1 if fetch.before is None else fetch.before.failures + 1
                next_ts[fetch.name] = (failures, now + pause_ms(failures, answered=fetch.answered))
        if next_ts:
            await self._db.write(lambda tx: storage.store_failures(tx, next_ts))
            self._alone.keep({name: at for name, (_, at) in next_ts.items()})
        self._end(fetches)

    def _end(self, fetches: Sequence[_Fetch]) -> None:
        """Nobody waits for these any more."""
        for fetch in fetches:
            fetch.settle(None)
            if self._fetches.get(fetch.name) is fetch:
                del self._fetches[fetch.name]


def pause_ms(failures: int, *, answered: bool) -> int:
    """For how long a server is left alone after so many failures, the last of which may be an answer."""
    first, longest = MISSED_MS if answered else FAILED_MS
    return min(first << min(failures - 1, 20), longest)
