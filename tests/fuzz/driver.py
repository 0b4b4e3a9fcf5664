"""Drives a homeserver in this process with hostile requests, as users who own things there."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import structlog

from palpo.streams.loop_watch import Held, LoopWatch
from palpo.wire.endpoint import Auth
from palpo.wire.registry import endpoints
from tests.fuzz.oracle import Logs, Oracle
from tests.fuzz.pools import Pools
from tests.fuzz.requests import Maker, Request
from tests.fuzz.values import Values
from tests.support.appservices import AS_TOKEN, registration
from tests.support.asgi import Answer, ask
from tests.support.homeserver import Client, Homeserver, homeserver

HELD_SECONDS = 0.05
"""Processor time that a request may hold the event loop for in one go."""
GIVE_UP_SECONDS = 20.0
FEATURES: dict[str, Any] = {
    "public_url": "https://test.example",
    "turn": {"uris": ["turn:127.0.0.1"], "shared_secret": "x"},
    "email": {"host": "127.0.0.1", "port": 9, "sender": "palpo@test.example", "security": "none"},
    "identity_servers": [{"name": "127.0.0.1:9", "url": "http://127.0.0.1:9"}],
    "server_notices": {"enabled": True},
    "push": {"allow_http": True},
    "well_known": {"server": "test.example:443", "support_page": "https://test.example/"},
}
"""A configuration with everything in use; nobody listens where others are asked for anything."""
VERSIONS = tuple(str(number) for number in range(1, 13))
CHECK_EVERY = 100
"""Requests between two looks at whether the users still can log in."""
DESTRUCTIVE = {
    "deactivateAccount": 0.03,
    "logout": 0.05,
    "logout_all": 0.03,
    "deleteDevices": 0.3,
    "deleteDevice": 0.3,
    "setAdminLockUser": 0.1,
    "setAdminSuspendUser": 0.1,
    "changePassword": 0.2,
}
"""How much of its share an operation gets that takes a run's users away."""
BY_ADMINS = 0.8
"""How many of the requests that are for administrators come from one."""


@dataclass(slots=True, kw_only=True)
class Finding:
    """Something that a request should not have caused."""

    problem: str
    request: str


@dataclass(slots=True, kw_only=True)
class Result:
    """What a run has come to."""

    findings: list[Finding] = field(default_factory=list)
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    slowest: tuple[float, str] = (0.0, "")
    blocked: tuple[float, str] = (0.0, "")
    """The most CPU time between two turns of the event loop, in seconds, and what was asked then."""
    memory_kib: tuple[int, int] = (0, 0)
    """Resident memory after a tenth of the run and after all of it."""

    @property
    def requests(self) -> int:
        """How many requests were made."""
        return sum(self.statuses.values())

    def never_right(self) -> list[str]:
        """Operations that were never answered with success."""
        seen = {operation for operation, _ in self.statuses}
        return sorted(seen - {operation for operation, status in self.statuses if status < 400})


PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


class World:
    """The users of a run, and what they have made."""

    def __init__(self, server: Homeserver, pools: Pools, rng: Random) -> None:
        self._server = server
        self._pools = pools
        self._rng = rng
        self._number = 0
        self.users: list[Client] = []
        self.admins: list[Client] = []
        """Those of them that are administrators: one at least."""
        self.rooms: dict[str, list[str]] = {}
        """The rooms that each user is in."""
        self.facts: dict[str, dict[str, str]] = {}
        """What else is each user's own."""

    async def restore(self) -> None:
        """Make up for users who were lost."""
        self.users = [user for user in self.users if await self._works(user)]
        self.admins = [user for user in self.admins if user in self.users]
        while len(self.users) < 3 or not self.admins:
            await self._add_user()
        for user in self.users:
            self.rooms[user.user_id] = (await user.get("/joined_rooms"))["joined_rooms"]
            backup = await user.get("/room_keys/version", status=None)
            self.facts[user.user_id] = {"version": backup["version"]} if "version" in backup else {}

    async def _works(self, user: Client) -> bool:
        answer = await user.get("/account/whoami", status=None)
        return bool(answer.get("user_id") == user.user_id) and await self._may_write(user)

    async def _may_write(self, user: Client) -> bool:
        path = f"/user/{user.user_id}/account_data/org.example.check"
        answer = await user.put(path, {"x": 1}, status=None)
        profile = await user.put(f"/profile/{user.user_id}/displayname", {"displayname": "F"}, status=None)
        return "errcode" not in answer and "errcode" not in profile

    async def _add_user(self) -> None:
        localpart = f"fuzz{self._number}"
        self._number += 1
        admin = not self.admins
        await self._server.services.accounts.registration.register(
            localpart, "correct horse battery", _no_device(), admin=admin
        )
        user = await self._server.login(localpart)
        for kind, value in (
            ("user_id", user.user_id),
            ("device_id", user.device_id),
            ("username", localpart),
        ):
            self._pools.add(kind, value)
        await self._furnish(user)
        self.users.append(user)
        if admin:
            self.admins.append(user)

    async def _furnish(self, user: Client) -> None:
        for preset, versions in (
            ("public_chat", VERSIONS),
            ("private_chat", VERSIONS),
            ("public_chat", ("1", "2")),
        ):
            room_id = await user.create_room(
                preset=preset,
                room_alias_name=f"a{self._rng.randrange(10**9)}",
                room_version=self._rng.choice(versions),
            )
            self._pools.add("room_id", room_id)
            event_id = await user.send(room_id, "hello")
            self._pools.add("event_id", event_id)
            self._pools.add_pair(room_id, event_id)
            for other in self.users[-2:]:
                await user.post(f"/rooms/{room_id}/invite", {"user_id": other.user_id}, status=None)
                await other.post(f"/join/{room_id}", status=None)
        for path in ("/sync", "/pushrules/", "/joined_rooms"):
            self._pools.harvest(await user.get(path, status=None))
        for content in (b"x", PICTURE):
            media = await user.http.post(
                "/_matrix/media/v3/upload",
                content=content,
                headers={"Authorization": f"Bearer {user.token}"},
            )
            self._pools.harvest(media.json())
        self._pools.harvest(await user.post(f"/user/{user.user_id}/filter", {"room": {}}, status=None))
        backup = {"algorithm": "m.megolm_backup.v1.curve25519-aes-sha2", "auth_data": {"public_key": "x"}}
        self._pools.harvest(await user.post("/room_keys/version", backup, status=None))


def _no_device() -> Any:
    from palpo.services.accounts.registration import DeviceChoice

    return DeviceChoice()


class Driver:
    """One run."""

    def __init__(self, server: Homeserver, seed: int, logs: Logs) -> None:
        self.rng = Random(seed)
        self.pools = Pools()
        self.values = Values(self.rng, self.pools)
        self.world = World(server, self.pools, self.rng)
        self.result = Result()
        self._server = server
        self._oracle = Oracle()
        self._logs = logs
        self._current = ""
        self.held_seconds = HELD_SECONDS
        self._watch = LoopWatch(self._held, limit_s=HELD_SECONDS / 5)
        self._sent: dict[Request, str] = {}
        """The rooms of events on their way."""

    async def run(self, requests: int, *, operations: Sequence[str] = (), concurrency: int = 4) -> Result:
        """Make ``requests`` requests, to ``operations`` alone where some are named."""
        makers = [
            Maker(item) for item in endpoints() if item.api == "client-server" or item.auth is Auth.NONE
        ]
        if operations:
            makers = [maker for maker in makers if maker.endpoint.operation_id in operations]
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self._logs.errors.append(str(context)[:2000]))
        await self.world.restore()
        gc.collect()
        gc.freeze()
        self._watch.start()
        checked, warm = 0, 0
        order: list[Maker] = []
        try:
            while self.result.requests < requests:
                if self.result.requests - checked >= CHECK_EVERY:
                    checked = self.result.requests
                    await self.world.restore()
                    self._server.clock.advance(self.rng.choice((1, 1000, 60_000, 3_600_000)))
                if not order:
                    order = [
                        m for m in makers if self.rng.random() < DESTRUCTIVE.get(m.endpoint.operation_id, 1.0)
                    ]
                    self.rng.shuffle(order)
                count = min(len(order), concurrency if self.rng.random() < 0.3 else 1)
                batch = [self._make(order.pop()) for _ in range(count)]
                self._current = "\n   ".join(map(str, batch))
                await asyncio.gather(*(self._one(request) for request in batch))
                self._sent.clear()
                if not warm and self.result.requests >= requests // 10:
                    warm = resident_kib()
        finally:
            self._watch.stop()
            gc.unfreeze()
        self.result.memory_kib = (warm, resident_kib())
        return self.result

    def _make(self, maker: Maker) -> Request:
        rng = self.rng
        callers = self.world.users
        if maker.endpoint.auth is Auth.ADMIN and rng.random() < BY_ADMINS:
            callers = self.world.admins
        caller, other = rng.choice(callers), rng.choice(self.world.users)
        self.values.wild = rng.choice((0.05, 0.05, 0.3, 1.0))
        own = rng.random() < 0.85
        self.values.context = {
            "user_id": (caller if own else other).user_id,
            "other": other.user_id,
            "device_id": caller.device_id,
            "server_name": "test.example",
            **self.world.facts[caller.user_id],
            **self.pools.pair(rng, self.world.rooms[caller.user_id] if rng.random() < 0.9 else ()),
        }
        if rng.random() < 0.5:
            self.values.context |= {"kind": "override", "rule_id": "mine"}
        bridge = rng.random() < (0.8 if maker.endpoint.auth is Auth.APPSERVICE else 0.02)
        request = maker.make(self.values, AS_TOKEN if bridge else caller.token)
        if bridge and rng.random() < 0.5:
            query = request.query + b"&user_id=%40_irc_" + b"%d%%3Atest.example" % rng.randrange(3)
            request = replace(request, query=query)
        if (
            maker.endpoint.operation_id in ("sendMessage", "setRoomStateWithKey")
            and "room_id" in self.values.context
        ):
            self._sent[request] = self.values.context["room_id"]
        return request

    async def _one(self, request: Request) -> None:
        started = time.perf_counter()
        try:
            async with asyncio.timeout(GIVE_UP_SECONDS):
                self._watch.forget()  # What was done here to make the request.
                answer = await ask(
                    self._server.app,
                    request.method,
                    request.raw_path,
                    query=request.query,
                    headers=request.headers,
                    body=request.body,
                )
                self._watch.look()
        except TimeoutError:
            answer = Answer(seconds=time.perf_counter() - started)
            self._found(f"no answer in {GIVE_UP_SECONDS:.0f} s", request)
        except Exception as error:  # noqa: BLE001 - whatever comes out is a finding
            self._found(f"out of the application: {error!r}", request)
            answer = Answer(status=599)
        else:
            for problem in self._oracle.problems(request, answer):
                self._found(problem, request)
        for line in self._logs.drain():
            self._found(f"log: {line}", request)
        self.result.statuses[request.operation_id, answer.status] += 1
        if answer.seconds > self.result.slowest[0]:
            self.result.slowest = (answer.seconds, str(request))
        if answer.status < 300 and answer.content_type == "application/json" and len(answer.body) < 100_000:
            with contextlib.suppress(msgspec.DecodeError):
                value = msgspec.json.decode(answer.body)
                self.pools.harvest(value)
                if request in self._sent and "event_id" in value:
                    self.pools.add_pair(self._sent[request], value["event_id"])
        self._watch.forget()

    def _found(self, problem: str, request: Request) -> None:
        self.result.findings.append(Finding(problem=problem, request=str(request)))

    def _held(self, held: Held) -> None:
        """The event loop was held for long, by the server if it is not seen that it was by this run."""
        if held.stack and not any(place.startswith("palpo/") for place in held.stack):
            return
        if held.seconds > self.result.blocked[0]:
            self.result.blocked = (held.seconds, f"{held.where}\n   {self._current}")
        if held.seconds < self.held_seconds:
            return
        places = [place for place in held.stack if place.startswith("palpo/")]
        where = " > ".join(place.rpartition(":")[0] + " " + place.split()[-1] for place in places[-3:])
        self.result.findings.append(
            Finding(
                problem=f"the event loop was held, in {where or 'something short-lived'}",
                request=f"loop: {held.seconds * 1000:.0f} ms: {held.where}\n   {self._current}",
            )
        )


def resident_kib() -> int:
    """This process's resident memory."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


@contextlib.asynccontextmanager
async def driver(data: Path, seed: int, **overrides: Any) -> AsyncIterator[Driver]:
    """A homeserver of its own in ``data``, and a run against it."""
    logs = Logs()
    before = structlog.get_config()
    structlog.configure(processors=[logs], cache_logger_on_first_use=False)
    try:
        bridge = registration(data, url="http://127.0.0.1:9")
        async with homeserver(data, appservices=[bridge], **FEATURES, **overrides) as server:
            yield Driver(server, seed, logs)
    finally:
        structlog.configure(**before)
