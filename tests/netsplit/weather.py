"""What happens to requests between servers: each link ends TLS, and passes whole requests on."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from random import Random

import aiohttp
from aiohttp import web
from yarl import URL

BYTES = 256 * 1024 * 1024
HOP_BY_HOP = ("Connection", "Keep-Alive", "Transfer-Encoding", "Content-Length")


class Fate(Enum):
    """What becomes of a request."""

    PASSED = "passed"
    LOST = "lost"
    UNANSWERED = "unanswered"
    """It arrives, but not its answer."""
    DOUBLED = "doubled"
    """It arrives twice at the same time."""
    REPEATED = "repeated"
    """It arrives once more, after what was sent later."""


SHARES = {Fate.LOST: 0.06, Fate.UNANSWERED: 0.06, Fate.DOUBLED: 0.1, Fate.REPEATED: 0.08}
HELD_UP, HELD_UP_S = 0.3, 1.0
"""The share of requests that are held up, and for how long at most."""
REPEATED_S = (1.0, 10.0)
SPLIT_S, WHOLE_S = (0.5, 8.0), (0.5, 6.0)
"""How long links are broken, and how long they are not."""


@dataclass(frozen=True, slots=True)
class Passing:
    """A request on its way."""

    method: str
    uri: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Link:
    """The way from one server to another."""

    origin: str
    destination: str
    address: str
    """Where the origin finds the destination, as it believes."""
    target: str
    """Where the destination is."""
    random: Random
    rough: bool = False
    whole: asyncio.Event = field(default_factory=asyncio.Event)
    silent: bool = False
    """Whether a broken link says nothing, where it would else refuse."""
    met: Counter[str] = field(default_factory=Counter)

    def mend(self) -> None:
        self.whole.set()

    def split(self) -> None:
        self.silent = self.random.random() < 0.5
        self.met["split"] += 1
        self.whole.clear()

    def fate(self) -> Fate:
        """What becomes of the next request."""
        if self.rough:
            drawn = self.random.random()
            for fate, share in SHARES.items():
                if (drawn := drawn - share) < 0:
                    return fate
        return Fate.PASSED


class Sky:
    """All links; in fair weather everything passes."""

    def __init__(self, seed: int, trusted: ssl.SSLContext) -> None:
        self.links: list[Link] = []
        self._random = Random(f"weather {seed}")
        self._trusted = trusted
        self._repeats: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None
        self._changes: asyncio.Task[None] | None = None

    def link(self, origin: str, destination: str, address: str, target: str) -> None:
        """Have a way between two servers."""
        random = Random(f"{origin} {destination} {self._random.random()}")
        link = Link(origin, destination, address, target, random)
        link.mend()
        self.links.append(link)

    @asynccontextmanager
    async def open(self, certificates: Mapping[str, ssl.SSLContext]) -> AsyncIterator[None]:
        """Pass requests on; ``certificates`` has what each server listens with, by its name."""
        runners = []
        timeout = aiohttp.ClientTimeout(total=120)
        # A connection for each request: one that is kept may be closed while it is used again.
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        async with aiohttp.ClientSession(
            connector=connector, timeout=timeout, auto_decompress=False
        ) as self._session:
            try:
                for link in self.links:
                    runner = self._runner(link)
                    await runner.setup()
                    runners.append(runner)
                    host, _, port = link.address.rpartition(":")
                    tls = certificates[link.destination]
                    await web.TCPSite(runner, host, int(port), ssl_context=tls).start()
                yield
            finally:
                await self.clear()
                for task in self._repeats:
                    task.cancel()
                await asyncio.gather(*self._repeats, return_exceptions=True)
                for runner in runners:
                    await runner.cleanup()

    def _runner(self, link: Link) -> web.AppRunner:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._handle(link, request)

        app = web.Application(client_max_size=BYTES)
        app.router.add_route("*", "/{rest:.*}", handle)
        return web.AppRunner(app, shutdown_timeout=0.1, access_log=None, keepalive_timeout=60)

    def roughen(self) -> None:
        """Let the weather be bad until it is cleared."""
        for link in self.links:
            link.rough = True
        self._changes = asyncio.get_running_loop().create_task(self._change())

    async def clear(self) -> None:
        """Let everything pass that comes from now on; what is on its way twice still arrives twice."""
        if self._changes is not None:
            self._changes.cancel()
            await asyncio.gather(self._changes, return_exceptions=True)
            self._changes = None
        for link in self.links:
            link.rough = False
            link.mend()

    def met(self) -> Counter[str]:
        """What has happened so far, by what it was."""
        return sum((link.met for link in self.links), Counter[str]())

    async def _change(self) -> None:
        while True:
            await asyncio.sleep(self._random.uniform(*WHOLE_S))
            broken = self._broken()
            for link in broken:
                link.split()
            await asyncio.sleep(self._random.uniform(*SPLIT_S))
            for link in broken:
                link.mend()

    def _broken(self) -> list[Link]:
        """A way in one direction, in both, or all of one server."""
        one = self._random.choice(self.links)
        ends = {one.origin, one.destination}
        match self._random.randrange(4):
            case 0:
                return [one]
            case 1:
                return [link for link in self.links if {link.origin, link.destination} == ends]
            case 2:
                return list(self.links)
        return [link for link in self.links if one.origin in (link.origin, link.destination)]

    async def _handle(self, link: Link, request: web.Request) -> web.StreamResponse:
        passing = Passing(request.method, request.raw_path, _kept(request.headers), await request.read())
        fate = link.fate()
        if not link.whole.is_set():
            link.met["stopped"] += 1
            if link.silent:
                await link.whole.wait()
            return _broken_off(request)
        if link.rough and link.random.random() < HELD_UP:
            link.met["held up"] += 1
            await asyncio.sleep(link.random.uniform(0, HELD_UP_S))
        link.met[fate.value] += 1
        if fate is Fate.LOST:
            return _broken_off(request)
        if fate is Fate.REPEATED:
            self._repeat(link, passing)
        try:
            copies = 2 if fate is Fate.DOUBLED else 1
            answers = await asyncio.gather(*(self._pass(link, passing) for _ in range(copies)))
        except (aiohttp.ClientError, TimeoutError):
            return _broken_off(request)
        return _broken_off(request) if fate is Fate.UNANSWERED else answers[-1]

    async def _pass(self, link: Link, passing: Passing) -> web.Response:
        assert self._session is not None
        async with self._session.request(
            passing.method,
            URL(f"https://{link.target}{passing.uri}", encoded=True),
            headers=passing.headers,
            data=passing.body or None,
            ssl=self._trusted,
            server_hostname=link.destination,
            allow_redirects=False,
        ) as answer:
            return web.Response(status=answer.status, headers=_kept(answer.headers), body=await answer.read())

    def _repeat(self, link: Link, passing: Passing) -> None:
        async def later() -> None:
            await asyncio.sleep(link.random.uniform(*REPEATED_S))
            await asyncio.gather(self._pass(link, passing), return_exceptions=True)

        task = asyncio.get_running_loop().create_task(later())
        self._repeats.add(task)
        task.add_done_callback(self._repeats.discard)


def _kept(headers: Iterable[tuple[str, str]] | Mapping[str, str]) -> dict[str, str]:
    left_out = {name.lower() for name in HOP_BY_HOP}
    return {name: value for name, value in dict(headers).items() if name.lower() not in left_out}


def _broken_off(request: web.Request) -> web.Response:
    """What is never sent: the connection is over."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
