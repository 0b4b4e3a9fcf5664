"""Fills a Synapse with rooms by its clients' requests, in any size."""

from __future__ import annotations

import asyncio
import base64
import secrets
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx

CLIENT = "/_matrix/client/v3"
PASSWORD = "correct horse battery"
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
VERSIONS = ("1", "2", "3", "6", "9", "10", "11", "12")
AT_ONCE = 4


@dataclass(slots=True, kw_only=True)
class Size:
    """How much of everything."""

    users: int = 5
    rooms: int = 8
    events: int = 160
    """Messages, of all rooms together."""
    media: int = 4
    pairs: int = 2
    """Users who encrypt, two in a room; these rooms come on top."""


@dataclass(slots=True)
class Town:
    """What there is then."""

    users: list[str] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=dict)
    """By user ID."""
    devices: dict[str, str] = field(default_factory=dict)
    rooms: list[str] = field(default_factory=list)
    media: list[tuple[str, bytes]] = field(default_factory=list)
    """``mxc://`` and content."""
    judged_media: list[str] = field(default_factory=list)
    """Those of which administrators have decided something."""
    filters: dict[str, list[str]] = field(default_factory=dict)
    """The IDs of users' filters."""


class Client:
    """Asks a server on behalf of users."""

    def __init__(self, url: str, town: Town) -> None:
        self._http = httpx.AsyncClient(base_url=url, timeout=120)
        self.town = town
        self._sent = 0
        self._prefix = secrets.token_hex(4)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def answer(
        self, user: str | None, method: str, path: str, body: Any = None, **options: Any
    ) -> httpx.Response:
        """Whatever is answered; ``path`` is below the client-server API's, if it is not a whole one."""
        headers = {} if user is None else {"Authorization": f"Bearer {self.town.tokens[user]}"}
        headers |= options.pop("headers", {})
        whole = path if path.startswith("/_") else CLIENT + path
        return await self._http.request(method, whole, json=body, headers=headers, **options)

    async def ask(self, user: str | None, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """The answer to what must succeed."""
        answer = await self.answer(user, method, path, body, **options)
        assert answer.status_code == 200, (method, path, answer.text)
        return answer.json()

    async def send(
        self, user: str, room_id: str, content: dict[str, Any], kind: str = "m.room.message"
    ) -> str:
        """An event's ID."""
        self._sent += 1
        sent = await self.ask(
            user, "PUT", f"/rooms/{room_id}/send/{kind}/{self._prefix}{self._sent}", content
        )
        return str(sent["event_id"])

    async def say(self, user: str, room_id: str, text: str, **more: Any) -> str:
        """The ID of a message."""
        return await self.send(user, room_id, {"msgtype": "m.text", "body": text, **more})

    async def scrolled(self, user: str, room_id: str) -> list[dict[str, Any]]:
        """All events that a user sees in a room, the oldest first."""
        found: list[dict[str, Any]] = []
        params = {"dir": "b", "limit": "100"}
        while True:
            page = await self.ask(user, "GET", f"/rooms/{room_id}/messages", params=params)
            found += page["chunk"]
            if "end" not in page or not page["chunk"]:
                return found[::-1]
            params = {**params, "from": page["end"]}


async def fill(client: Client, size: Size) -> None:
    """Users, rooms of every version with messages and all that may be done to them, media."""
    town = client.town
    for number in range(size.users):
        await _register(client, f"user{number}")
    await _media(client, size.media)
    for number in range(size.rooms):
        await _room(client, number)
    busy = asyncio.Semaphore(AT_ONCE)
    share, rest = divmod(size.events, len(town.rooms))
    counts = [share + (number < rest) for number in range(len(town.rooms))]
    await asyncio.gather(
        *(_talk(client, busy, room, count) for room, count in zip(town.rooms, counts, strict=True))
    )
    for number, room_id in enumerate(town.rooms):
        await _do_everything(client, number, room_id)


async def _register(client: Client, name: str) -> None:
    body = {
        "username": name,
        "password": PASSWORD,
        "auth": {"type": "m.login.dummy"},
        "initial_device_display_name": "phone",
    }
    made = await client.ask(None, "POST", "/register", body)
    user_id = made["user_id"]
    client.town.users.append(user_id)
    client.town.tokens[user_id] = made["access_token"]
    client.town.devices[user_id] = made["device_id"]
    await client.ask(user_id, "PUT", f"/profile/{user_id}/displayname", {"displayname": f"The {name} 🐘"})


async def _media(client: Client, count: int) -> None:
    town = client.town
    for number in range(count):
        user, content = town.users[number % len(town.users)], PICTURE + str(number).encode()
        town.media.append((await upload(client, user, f"picture{number}.png", content), content))


async def upload(client: Client, user: str, name: str, content: bytes) -> str:
    """The URI of a picture."""
    headers = {"Content-Type": "image/png"}
    path = f"/_matrix/media/v3/upload?filename={name}"
    answer = await client.answer(user, "POST", path, content=content, headers=headers)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["content_uri"])


async def _room(client: Client, number: int) -> None:
    users = client.town.users
    creator = users[number % len(users)]
    body: dict[str, Any] = {
        "preset": "public_chat",
        "visibility": "public" if number % 2 else "private",
        "room_version": VERSIONS[number % len(VERSIONS)],
        "name": f"Room {number}",
        "topic": "Things",
    }
    if number % 3 == 0:
        body["room_alias_name"] = f"room{number}"
    room_id = (await client.ask(creator, "POST", "/createRoom", body))["room_id"]
    client.town.rooms.append(room_id)
    for other in range(1, min(len(users), 4)):
        user = users[(number + other) % len(users)]
        await client.ask(user, "POST", f"/join/{room_id}", {})


async def _talk(client: Client, busy: asyncio.Semaphore, room_id: str, count: int) -> None:
    users = client.town.users
    number = client.town.rooms.index(room_id)
    members = [users[(number + other) % len(users)] for other in range(min(len(users), 3))]
    for index in range(count):
        async with busy:
            await client.say(members[index % len(members)], room_id, f"message {index}")


async def _do_everything(client: Client, number: int, room_id: str) -> None:
    """Whatever is done to events and memberships."""
    users = client.town.users
    a, b, c = (users[(number + other) % len(users)] for other in range(3))
    redacted = await client.say(b, room_id, "to be redacted")
    await client.ask(
        b, "PUT", f"/rooms/{room_id}/redact/{quote(redacted, safe='')}/r{number}", {"reason": "r"}
    )
    root = await client.say(a, room_id, "a thread")
    await client.say(b, room_id, "in it", **{"m.relates_to": {"rel_type": "m.thread", "event_id": root}})
    edit = {"rel_type": "m.replace", "event_id": root}
    new = {"msgtype": "m.text", "body": "a thread, edited"}
    await client.say(a, room_id, "* edited", **{"m.relates_to": edit, "m.new_content": new})
    reaction = {"m.relates_to": {"rel_type": "m.annotation", "event_id": root, "key": "👍"}}
    await client.send(c, room_id, reaction, "m.reaction")
    await client.ask(b, "POST", f"/rooms/{room_id}/receipt/m.read/{quote(root, safe='')}", {})
    await client.ask(
        c, "POST", f"/rooms/{room_id}/receipt/m.read.private/{quote(root, safe='')}", {"thread_id": "main"}
    )
    await client.ask(b, "POST", f"/rooms/{room_id}/read_markers", {"m.fully_read": root})
    await client.ask(a, "PUT", f"/user/{a}/rooms/{room_id}/tags/m.favourite", {"order": 0.5})
    if len(users) > 4:
        await client.ask(a, "POST", f"/rooms/{room_id}/invite", {"user_id": users[(number + 4) % len(users)]})
        d = users[(number + 3) % len(users)]
        await client.ask(a, "POST", f"/rooms/{room_id}/kick", {"user_id": d, "reason": "k"})
        if number % 2:
            await client.ask(d, "POST", f"/rooms/{room_id}/forget", {})
    if number == 0:
        await client.ask(
            b, "POST", f"/rooms/{room_id}/report/{quote(root, safe='')}", {"reason": "bad", "score": -1}
        )
        level = {"users": {a: 100, b: 50}, "events_default": 0}
        await client.ask(a, "PUT", f"/rooms/{room_id}/state/m.room.power_levels/", level)
