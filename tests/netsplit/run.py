"""One run: people on three servers, bad weather, and what the servers have once it has cleared."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from urllib.parse import quote

import aiohttp

from palpo.core.records.events import EventStatus
from tests.netsplit.comparison import Room, compare, history_of, room_of, unsettled
from tests.netsplit.people import Acts, Ledger, Town, User
from tests.netsplit.servers import Server, three_servers
from tests.netsplit.watching import Watcher, ended, watching

SAID_S = 20.0
"""How often it is said meanwhile what is not the same."""
PATIENCE_S = 180.0
"""How long servers may take to have the same once the weather has cleared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much there is of everything."""

    seconds: float
    seed: int
    rooms: int = 6
    wandered: int = 2
    users: int = 4
    """On each server, beside its keeper."""
    kill_s: float = 0.0
    """How long it is, about, until the next server is killed; 0: none is."""


@dataclass(slots=True)
class Result:
    """What came of it."""

    events: int = 0
    """Acknowledged to their senders."""
    answers: Counter[str] = field(default_factory=Counter)
    weather: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    told: int = 0
    """Events of which those were told who sync all the while, one on each server."""
    limited: int = 0
    """How often they were told that there is more, by rooms."""
    settled_s: float = 0.0
    """How long it took until all had the same."""
    soft_failed: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


class Run:
    """What is there while it goes on."""

    def __init__(self, plan: Plan, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._say = say
        self._ledger = Ledger()
        self.result = Result()

    async def go(self, folder: Path) -> Result:
        """Do all of it."""
        plan = self._plan
        connector = aiohttp.TCPConnector(limit=0)
        async with (
            three_servers(folder, plan.seed) as (servers, sky),
            aiohttp.ClientSession(connector=connector) as http,
        ):
            keepers = [User(server, "keeper", http, self._ledger) for server in servers]
            others = [
                User(server, f"user{number}", http, self._ledger)
                for server in servers
                for number in range(plan.users)
            ]
            town = Town(keepers, others)
            await town.settle(plan.rooms, plan.wandered)
            await self._speak(town, town.rooms)
            await self._agree(servers, town, town.rooms, whole=False)
            await self._page(town, town.rooms)
            await self._agree(servers, town, town.rooms)
            self._say(f"{len(town.users)} users in {len(town.rooms)} + {len(town.wandered)} rooms")
            already = await self._known(servers, town.rooms)
            watchers = [Watcher(keeper) for keeper in town.keepers]
            tasks = await watching(watchers)
            sky.roughen()
            await self._live(town, servers)
            await sky.clear()
            self._say("the weather has cleared")
            self.result.weather = sky.met()
            await self._speak(town, town.rooms)
            self.result.settled_s = await self._agree(servers, town, town.rooms)
            await self._come_back(town)
            await self._speak(town, town.wandered)
            everything = [*town.rooms, *town.wandered]
            await self._agree(servers, town, everything, whole=False)
            self._say("read by all")
            await self._page(town, everything)
            await self._agree(servers, town, everything, reads=True)
            await ended(watchers, tasks)
            await self._look_at_watchers(town, watchers, already)
            self._look_at_logs(servers)
        self.result.events = self._ledger.events()
        self.result.answers = self._ledger.answers
        self.result.faults += self._ledger.failures
        return self.result

    async def _live(self, town: Town, servers: Sequence[Server]) -> None:
        over = asyncio.Event()
        acts = Acts(town, self._plan.seed)
        async with asyncio.TaskGroup() as tasks:
            for user in town.users:
                tasks.create_task(acts.go_on(user, over))
            if self._plan.kill_s:
                tasks.create_task(self._kill(servers, over))
            end = time.monotonic() + self._plan.seconds
            while (left := end - time.monotonic()) > 0:
                await asyncio.sleep(min(left, 30))
                states = [
                    f"{server.name}: {await unsettled(server.database) or 'quiet'}" for server in servers
                ]
                self._say(f"{self._ledger.events()} events; {'; '.join(states)}")
            over.set()

    async def _kill(self, servers: Sequence[Server], over: asyncio.Event) -> None:
        """Kill one now and then; it runs again at once."""
        random = Random(f"kills {self._plan.seed}")
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), random.uniform(0.5, 1.5) * self._plan.kill_s)
            if over.is_set():
                return
            await random.choice(servers).kill()
            self.result.kills += 1

    async def _come_back(self, town: Town) -> None:
        """Have keepers join the rooms that they are not in."""
        for room_id in town.wandered:
            for keeper in town.keepers[1:]:
                if not await self._joins(town.keepers[0], keeper, room_id):
                    self.result.faults.append(f"{room_id}: {keeper.user_id} cannot join")

    async def _joins(self, first: User, keeper: User, room_id: str) -> bool:
        """Whether a keeper who is invited can join before long: their server may hear of it later."""
        await first.member(room_id, "invite", keeper.user_id)
        end = time.monotonic() + PATIENCE_S
        while (status := await keeper.join(room_id, first.server.name)) != 200:
            if time.monotonic() > end:
                return False
            self._say(f"{room_id}: {keeper.user_id} cannot join yet: {status}")
            await asyncio.sleep(2)
        return True

    async def _speak(self, town: Town, rooms: Sequence[str]) -> None:
        """Have all keepers say something: that brings together what is apart."""
        for keeper in town.keepers:
            for room_id in rooms:
                await keeper.send(room_id, "m.room.message", {"msgtype": "m.text", "body": "Is all well?"})

    async def _agree(
        self,
        servers: Sequence[Server],
        town: Town,
        rooms: Sequence[str],
        *,
        whole: bool = True,
        reads: bool = False,
    ) -> float:
        """Wait until all have the same of rooms, and nothing waits; the seconds that it took.

        Where not the ``whole``, what was said while a server was not there is not looked at. Where it
        ``reads``, keepers do so meanwhile: what was asked for in vain in bad weather is asked for again.
        """
        began = said = time.monotonic()
        while True:
            found = await self._differences(servers, town, rooms, whole=whole)
            found += [f"{s.name}: {left}" for s in servers if (left := await unsettled(s.database))]
            now = time.monotonic()
            if now - began > PATIENCE_S:
                self.result.faults += found
            if not found or now - began > PATIENCE_S:
                return now - began
            if now - said > SAID_S:
                said = now
                for text in found:
                    self._say(text)
                if reads:
                    await self._page(town, rooms)
            await asyncio.sleep(1)

    async def _differences(
        self, servers: Sequence[Server], town: Town, rooms: Sequence[str], *, whole: bool
    ) -> list[str]:
        found: list[str] = []
        self.result.soft_failed.clear()
        trusted = [keeper.user_id for keeper in town.keepers]
        for room_id in rooms:
            there = {server.name: await room_of(server.database, room_id) for server in servers}
            acknowledged = self._ledger.acknowledged.get(room_id, {})
            everything = await self._everything(servers, town, room_id, there) if whole else frozenset[str]()
            differences = compare(room_id, there, acknowledged, trusted, everything=everything)
            self.result.soft_failed += differences.soft_failed
            found += differences.found
        return found

    async def _everything(
        self, servers: Sequence[Server], town: Town, room_id: str, there: Mapping[str, Room | None]
    ) -> frozenset[str]:
        """The events that all have to have: of a room that some were not in, those that its heads lead to.

        What is soft-failed at all that are there, and followed by nothing, nobody else hears of.
        """
        rooms = [(server, room) for server in servers if (room := there[server.name]) is not None]
        if room_id in town.wandered:
            found = [await history_of(server.database, room, room_id) for server, room in rooms]
        else:
            found = [room.known for _, room in rooms] + [
                frozenset(self._ledger.acknowledged.get(room_id, ()))
            ]
        return frozenset[str]().union(*found)

    async def _known(self, servers: Sequence[Server], rooms: Sequence[str]) -> dict[str, frozenset[str]]:
        """The events that there are in each room: who sets what is set already is told of one of these."""
        found: dict[str, frozenset[str]] = {}
        for room_id in rooms:
            for server in servers:
                if (room := await room_of(server.database, room_id)) is not None:
                    found[room_id] = found.get(room_id, frozenset()) | room.known
        return found

    async def _page(self, town: Town, rooms: Sequence[str]) -> None:
        """Have keepers read rooms from the end to the beginning: then nothing is missing anywhere."""
        for keeper in town.keepers:
            for room_id in rooms:
                seen = await self._read(keeper, room_id)
                if not seen:
                    self.result.faults.append(f"{room_id}: {keeper.user_id} cannot read")
                if twice := [name for name, number in Counter(seen).items() if number > 1]:
                    self.result.faults.append(f"{room_id}: {keeper.user_id} sees twice: {twice[:5]}")

    async def _read(self, keeper: User, room_id: str) -> list[str]:
        seen: list[str] = []
        token = ""
        while True:
            path = f"/rooms/{room_id}/messages?dir=b&limit=500{token}"
            status, page = await keeper.request("GET", path)
            if status != 200:
                return seen
            seen += [event["event_id"] for event in page["chunk"]]
            if "end" not in page:
                return seen
            token = f"&from={quote(page['end'])}"

    async def _look_at_watchers(
        self, town: Town, watchers: Sequence[Watcher], already: Mapping[str, Set[str]]
    ) -> None:
        """What was sent in the meantime in rooms of theirs has come to each, where it is shown."""
        for watcher in watchers:
            self.result.told += watcher.told
            self.result.limited += len(watcher.limited)
            for room_id in town.rooms:
                room = await room_of(watcher.user.server.database, room_id)
                sent = self._ledger.acknowledged.get(room_id, {}).keys() - already.get(room_id, set())
                shown = [name for name in sent if room and room.statuses.get(name) is EventStatus.ACCEPTED]
                self.result.faults += watcher.faults(room_id, shown)

    def _look_at_logs(self, servers: Sequence[Server]) -> None:
        for server in servers:
            for line in server.log.splitlines():
                if '"level":"error"' in line or '"level":"critical"' in line or "Traceback" in line:
                    self.result.faults.append(f"{server.name}: {line[:1000]}")


async def run(folder: Path, plan: Plan, say: Callable[[str], None]) -> Result:
    """Run three servers in a folder of their own."""
    return await Run(plan, say).go(folder)
