"""Who uses the servers: on each a keeper, who is in every room to the end, and others, who come and go."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp

from tests.netsplit.servers import Server

PASSWORD = "correct horse battery"
VERSIONS = ("12", "11", "10", "6", "12", "9")
"""Of the rooms that keepers make, in turn."""
PAUSE_S = (0.1, 1.0)
"""Between two acts of a user."""
LEVELS = (0, 0, 25, 50)
REQUEST_S = 60.0


@dataclass(slots=True)
class Ledger:
    """What has been answered."""

    acknowledged: dict[str, dict[str, str]] = field(default_factory=dict)
    """By room, then by event ID: who has sent it."""
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    """What no request should be answered."""

    def events(self) -> int:
        return sum(map(len, self.acknowledged.values()))


class User:
    """Somebody with a device."""

    def __init__(self, server: Server, name: str, http: aiohttp.ClientSession, ledger: Ledger) -> None:
        self.server = server
        self.user_id = f"@{name}:{server.name}"
        self._name = name
        self._http = http
        self._ledger = ledger
        self._token = ""
        self._numbers = count(1)

    async def request(self, method: str, path: str, content: Any = None) -> tuple[int, Any]:
        """Status and answer of what is asked below /_matrix/client/v3."""
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        url = f"{self.server.url}/_matrix/client/v3{path}"
        timeout = aiohttp.ClientTimeout(total=REQUEST_S)
        async with self._http.request(method, url, json=content, headers=headers, timeout=timeout) as answer:
            body = await answer.json()
            self._ledger.answers[str(answer.status)] += 1
            if answer.status >= 500 or answer.status == 429:
                self._ledger.failures.append(f"{method} {path}: {answer.status} {body}")
            return answer.status, body

    def unanswered(self) -> None:
        """Note that there was no answer."""
        self._ledger.answers["none"] += 1

    async def wanted(self, method: str, path: str, content: Any = None) -> Any:
        """The answer, which is one of success."""
        status, body = await self.request(method, path, content)
        assert status == 200, f"{self.user_id}: {method} {path}: {status} {body}"
        return body

    async def register(self) -> None:
        auth = {"type": "m.login.dummy"}
        body = {"username": self._name, "password": PASSWORD, "auth": auth}
        self._token = (await self.wanted("POST", "/register", body))["access_token"]

    async def sync(self, options: dict[str, str]) -> Any:
        return await self.wanted("GET", f"/sync?{urlencode(options)}")

    async def event(self, room_id: str, path: str, content: dict[str, Any]) -> str | None:
        """Send what ``path`` says in a room; its ID, None where that is refused."""
        status, body = await self.request("PUT", f"/rooms/{room_id}{path}", content)
        if status != 200:
            return None
        event_id: str = body["event_id"]
        self._ledger.acknowledged.setdefault(room_id, {})[event_id] = self.user_id
        return event_id

    async def send(self, room_id: str, event_type: str, content: dict[str, Any]) -> str | None:
        return await self.event(room_id, f"/send/{event_type}/{next(self._numbers)}", content)

    async def set(self, room_id: str, event_type: str, content: dict[str, Any], key: str = "") -> str | None:
        return await self.event(room_id, f"/state/{event_type}/{quote(key, safe='')}", content)

    async def redact(self, room_id: str, event_id: str) -> str | None:
        return await self.event(room_id, f"/redact/{quote(event_id, safe='')}/{next(self._numbers)}", {})

    async def join(self, room_id: str, via: str) -> int:
        return (await self.request("POST", f"/join/{quote(room_id)}?server_name={via}", {}))[0]

    async def member(self, room_id: str, what: str, user_id: str) -> int:
        """Invite, kick, ban or unban somebody."""
        return (await self.request("POST", f"/rooms/{room_id}/{what}", {"user_id": user_id}))[0]


@dataclass(slots=True)
class Town:
    """All users, and the rooms that they are in."""

    keepers: list[User]
    others: list[User]
    rooms: list[str] = field(default_factory=list)
    """Keepers are in these from the beginning."""
    wandered: list[str] = field(default_factory=list)
    """In these only the first server has a keeper: the others come and go."""

    @property
    def users(self) -> list[User]:
        return [*self.keepers, *self.others]

    async def settle(self, rooms: int, wandered: int) -> None:
        """Register, and make rooms."""
        await asyncio.gather(*(user.register() for user in self.users))
        for number in range(rooms):
            keeper = self.keepers[number % len(self.keepers)]
            self.rooms.append(await self._make(keeper, VERSIONS[number % len(VERSIONS)]))
            await self._all_join(keeper, self.rooms[-1], self.users)
        for number in range(wandered):
            room_id = await self._make(self.keepers[0], VERSIONS[number % len(VERSIONS)])
            self.wandered.append(room_id)
            await self._all_join(self.keepers[0], room_id, self.others)

    async def _make(self, keeper: User, version: str) -> str:
        keepers = {user.user_id: 100 for user in self.keepers if user is not keeper or version != "12"}
        deputies = {user.user_id: 50 for user in self.others if user.user_id.startswith("@user0:")}
        levels = {
            "users": keepers | deputies,
            "events": {"m.room.topic": 0, "m.room.name": 25, "org.example.note": 0},
        }
        body = {
            "preset": "public_chat",
            "room_version": version,
            "power_level_content_override": levels,
        }
        room_id: str = (await keeper.wanted("POST", "/createRoom", body))["room_id"]
        return room_id

    async def _all_join(self, keeper: User, room_id: str, users: list[User]) -> None:
        async def join(of: list[User]) -> None:
            for user in of:
                async with asyncio.timeout(REQUEST_S):
                    while await user.join(room_id, keeper.server.name) != 200:  # noqa: ASYNC110 - nobody says it
                        await asyncio.sleep(1)

        servers = {user.server.name for user in users}
        await asyncio.gather(
            *(join([u for u in users if u.server.name == name and u is not keeper]) for name in servers)
        )


class Acts:
    """What users do, drawn at random."""

    def __init__(self, town: Town, seed: int) -> None:
        self._town = town
        self._seed = seed
        self._sent: dict[str, list[str]] = {}
        """Some of the events of each room."""
        self._shares: list[tuple[Callable[[User, str, Random], Awaitable[object]], int]] = [
            (self._talk, 50),
            (self._react, 6),
            (self._change, 14),
            (self._redact, 4),
            (self._raise, 4),
            (self._rename, 1),
            (self._rules, 1),
            (self._send_away, 4),
            (self._let_in, 6),
            (self._leave, 3),
            (self._join, 7),
        ]

    async def go_on(self, user: User, until: asyncio.Event) -> None:
        """Let one of them do this and that."""
        random = Random(f"{self._seed} {user.user_id}")
        kept = user in self._town.keepers
        acts, weights = zip(*self._shares, strict=True)
        while not until.is_set():
            await asyncio.sleep(random.uniform(*PAUSE_S))
            rooms = [*self._town.rooms, *self._town.wandered]
            if kept and user is not self._town.keepers[0]:
                rooms = self._town.rooms
            (act,) = random.choices(acts, weights)
            if kept and act == self._leave:
                continue
            try:
                await act(user, random.choice(rooms), random)
            except (TimeoutError, aiohttp.ClientError):
                # What goes to another server may take as long as a split, and servers are killed.
                user.unanswered()
                await asyncio.sleep(1)

    async def _talk(self, user: User, room_id: str, random: Random) -> None:
        body = {"msgtype": "m.text", "body": f"{random.random()}"}
        event_id = await user.send(room_id, "m.room.message", body)
        if event_id is None:
            if random.random() < 0.3:
                await self._join(user, room_id, random)
            return
        self._remember(room_id, event_id)

    async def _react(self, user: User, room_id: str, random: Random) -> None:
        if (target := self._one(room_id, random)) is not None:
            relation = {"rel_type": "m.annotation", "event_id": target, "key": f"{random.randrange(5)}"}
            await user.send(room_id, "m.reaction", {"m.relates_to": relation})

    async def _change(self, user: User, room_id: str, random: Random) -> None:
        what = random.choice(["m.room.topic", "m.room.name", "org.example.note"])
        key = f"{random.randrange(4)}" if what == "org.example.note" else ""
        field_ = what.rpartition(".")[2]
        event_id = await user.set(room_id, what, {field_: f"{random.random()}"}, key)
        if event_id is not None:
            self._remember(room_id, event_id)

    async def _redact(self, user: User, room_id: str, random: Random) -> None:
        if (target := self._one(room_id, random)) is not None:
            await user.redact(room_id, target)

    async def _raise(self, user: User, room_id: str, random: Random) -> None:
        """Set somebody's power level, or that of an event."""
        path = f"/rooms/{room_id}/state/m.room.power_levels"
        status, levels = await user.request("GET", path)
        if status != 200:
            return
        if random.random() < 0.3:
            levels["events"]["org.example.note"] = random.choice(LEVELS)
        else:
            levels["users"][random.choice(self._town.others).user_id] = random.choice(LEVELS)
        await user.set(room_id, "m.room.power_levels", levels)

    async def _rename(self, user: User, room_id: str, random: Random) -> None:
        """Change one's own name, in all rooms."""
        path = f"/profile/{quote(user.user_id)}/displayname"
        await user.request("PUT", path, {"displayname": f"{random.random()}"})

    async def _rules(self, user: User, room_id: str, random: Random) -> None:
        await user.set(room_id, "m.room.join_rules", {"join_rule": random.choice(["public", "invite"])})

    async def _send_away(self, user: User, room_id: str, random: Random) -> None:
        what = random.choice(["kick", "ban"])
        await user.member(room_id, what, random.choice(self._town.others).user_id)

    async def _let_in(self, user: User, room_id: str, random: Random) -> None:
        other = random.choice(self._town.others).user_id
        await user.member(room_id, random.choice(["unban", "invite"]), other)

    async def _leave(self, user: User, room_id: str, random: Random) -> None:
        await user.request("POST", f"/rooms/{room_id}/leave", {})

    async def _join(self, user: User, room_id: str, random: Random) -> None:
        await user.join(room_id, random.choice(self._town.keepers).server.name)

    def _remember(self, room_id: str, event_id: str) -> None:
        sent = self._sent.setdefault(room_id, [])
        sent.append(event_id)
        del sent[:-20]

    def _one(self, room_id: str, random: Random) -> str | None:
        sent = self._sent.get(room_id)
        return random.choice(sent) if sent else None
