"""The few Matrix client-server calls of the load; the same for every server."""

from __future__ import annotations

import itertools
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from bench.side_by_side.http import Connection, LoadError

CLIENT = "/_matrix/client/v3"
SLIDING_SYNC = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync"
PASSWORD = "a benchmark's password"
_transactions = itertools.count(1)


class User:
    """An account's session on a connection of its own."""

    def __init__(self, port: int, user_id: str, token: str) -> None:
        self.port = port
        self.user_id = user_id
        self.token = token
        self.connection = Connection(port)

    async def call(self, method: str, target: str, content: Any = None) -> bytes:
        """The body of a 200 response; raises LoadError for any other."""
        status, body = await self.connection.request(method, target, token=self.token, content=content)
        if status != 200:
            raise LoadError(f"{method} {target.partition('?')[0]}: {status} {body[:300]!r}")
        return body

    async def whoami(self) -> bytes:
        """``GET /account/whoami``."""
        return await self.call("GET", f"{CLIENT}/account/whoami")

    async def create_room(self, **options: Any) -> str:
        """A public room's ID."""
        body = await self.call("POST", f"{CLIENT}/createRoom", {"preset": "public_chat", **options})
        return str(orjson.loads(body)["room_id"])

    async def join(self, room_id: str) -> None:
        """``POST /rooms/{roomId}/join``."""
        await self.call("POST", f"{CLIENT}/rooms/{quote(room_id)}/join", {})

    async def leave(self, room_id: str) -> None:
        """``POST /rooms/{roomId}/leave``."""
        await self.call("POST", f"{CLIENT}/rooms/{quote(room_id)}/leave", {})

    async def send(self, room_id: str, text: str = "The quick brown fox jumps over the lazy dog") -> bytes:
        """Send a message; the response's body, which has its event ID."""
        target = f"{CLIENT}/rooms/{quote(room_id)}/send/m.room.message/t{next(_transactions)}"
        return await self.call("PUT", target, {"msgtype": "m.text", "body": text})

    async def sync(self, *, since: str = "", timeout_ms: int = 0, lazy: bool = False) -> bytes:
        """``GET /sync``, with members loaded lazily or not.

        The body is unparsed, for parsing is no work of the server.
        """
        query = {"timeout": str(timeout_ms)} | ({"since": since} if since else {})
        if lazy:
            query["filter"] = '{"room":{"state":{"lazy_load_members":true}}}'
        return await self.call("GET", f"{CLIENT}/sync?{urlencode(query)}")

    async def sliding_sync(self, content: Any, *, pos: str = "") -> bytes:
        """``POST /sync`` of simplified sliding sync (MSC4186), without waiting, from ``pos`` on."""
        query = {"timeout": "0"} | ({"pos": pos} if pos else {})
        return await self.call("POST", f"{SLIDING_SYNC}?{urlencode(query)}", content)

    async def messages(self, room_id: str, *, start: str = "", limit: int = 50) -> bytes:
        """A page of ``GET /rooms/{roomId}/messages``, backwards."""
        query = {"dir": "b", "limit": str(limit)} | ({"from": start} if start else {})
        return await self.call("GET", f"{CLIENT}/rooms/{quote(room_id)}/messages?{urlencode(query)}")

    async def login(self) -> User:
        """The same account on a new device."""
        content = {
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": self.user_id},
            "password": PASSWORD,
        }
        body = orjson.loads(await self.call("POST", f"{CLIENT}/login", content))
        return User(self.port, self.user_id, body["access_token"])

    async def log_out(self) -> None:
        """End the session and its connection."""
        await self.call("POST", f"{CLIENT}/logout", {})
        self.connection.close()


def next_batch(sync: bytes) -> str:
    """Where the sync after this one begins."""
    return str(orjson.loads(sync)["next_batch"])


async def register(port: int, name: str) -> User:
    """A new account; raises LoadError."""
    connection = Connection(port)
    target = f"{CLIENT}/register"
    content: dict[str, Any] = {"username": name, "password": PASSWORD, "auth": {"type": "m.login.dummy"}}
    status, body = await connection.request("POST", target, content=content)
    if status == 401 and "session" in (answer := orjson.loads(body)):
        content["auth"]["session"] = answer["session"]
        status, body = await connection.request("POST", target, content=content)
    if status != 200:
        raise LoadError(f"POST {target}: {status} {body[:300]!r}")
    answer = orjson.loads(body)
    user = User(port, answer["user_id"], answer["access_token"])
    user.connection = connection
    return user
