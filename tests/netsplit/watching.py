"""Clients that sync all the while: they are told of each event once, and of each that is shown."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import aiohttp
import orjson

from tests.netsplit.people import User

FILTER = orjson.dumps({"room": {"timeline": {"limit": 200}}, "presence": {"not_types": ["*"]}}).decode()
POLL_MS = 5000


@dataclass(slots=True)
class Watcher:
    """One of them; ``seen`` counts events by room."""

    user: User
    seen: dict[str, Counter[str]] = field(default_factory=dict)
    limited: set[str] = field(default_factory=set)
    """Rooms in which it was told that there is more than it was shown."""
    _since: str = ""

    async def begin(self) -> None:
        """Know of what is there."""
        self._since = (await self.user.sync({"filter": FILTER}))["next_batch"]

    async def watch(self) -> None:
        """Go on until cancelled."""
        while True:
            try:
                await self.look(POLL_MS)
            except (TimeoutError, aiohttp.ClientError):
                await asyncio.sleep(1)

    async def look(self, timeout_ms: int = 0) -> bool:
        """Take in what is new; whether there was anything."""
        options = {"filter": FILTER, "since": self._since, "timeout": str(timeout_ms)}
        answer = await self.user.sync(options)
        self._since = answer["next_batch"]
        joined = answer.get("rooms", {}).get("join", {})
        for room_id, room in joined.items():
            timeline = room.get("timeline", {})
            self.seen.setdefault(room_id, Counter()).update(e["event_id"] for e in timeline.get("events", ()))
            if timeline.get("limited"):
                self.limited.add(room_id)
        return any(room.get("timeline", {}).get("events") for room in joined.values())

    @property
    def told(self) -> int:
        """Of how many events it was told."""
        return sum(map(len, self.seen.values()))

    def faults(self, room_id: str, shown: Iterable[str]) -> list[str]:
        """What is wrong with what it was told of a room; the events ``shown`` have come meanwhile."""
        seen = self.seen.get(room_id, Counter())
        found = []
        if twice := [name for name, number in seen.items() if number > 1]:
            found.append(f"{room_id}: {self.user.user_id} was told twice of {twice[:5]}")
        missed = [name for name in shown if name not in seen]
        if missed and room_id not in self.limited:
            found.append(
                f"{room_id}: {self.user.user_id} was not told of {missed[:5]}, and not that there is more"
            )
        return found


async def watching(watchers: Iterable[Watcher]) -> list[asyncio.Task[None]]:
    """Have them all begin to watch."""
    watchers = list(watchers)
    await asyncio.gather(*(watcher.begin() for watcher in watchers))
    return [asyncio.create_task(watcher.watch()) for watcher in watchers]


async def ended(watchers: Iterable[Watcher], tasks: Iterable[asyncio.Task[None]]) -> None:
    """Have them stop, and take in what is left."""
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Exception):
            raise result
    for watcher in watchers:
        while await watcher.look():
            pass
