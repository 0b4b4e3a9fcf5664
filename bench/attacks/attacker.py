"""Somebody who means harm: an ordinary account or two, from an address of their own."""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

import aiohttp

CLIENT = "/_matrix/client/v3"
PASSWORD = "an attacker's password"
_addresses = itertools.count(1)
_open: list[Attacker] = []


class Attacker:
    """An account's session; ``call`` never raises for what the server answers, or does not."""

    def __init__(self, port: int, address: str) -> None:
        self.port = port
        self.address = address
        self.base = f"http://127.0.0.1:{port}"
        self.user_id = ""
        self.token = ""
        self.device_id = ""
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=120)
        )

    @property
    def server_name(self) -> str:
        return self.user_id.partition(":")[2]

    @property
    def headers(self) -> dict[str, str]:
        """Who asks, and from where."""
        found = {"X-Forwarded-For": self.address, "Content-Type": "application/json"}
        return found | ({"Authorization": f"Bearer {self.token}"} if self.token else {})

    async def call(self, method: str, path: str, content: Any = None, *, raw: bytes | None = None) -> Any:
        """The answer's JSON, or None; what it refuses is refused, and what fails has failed."""
        data = raw if raw is not None else None if content is None else json.dumps(content).encode()
        path = path if path.startswith("/_") else CLIENT + path
        try:
            async with self.session.request(
                method, self.base + path, data=data, headers=self.headers
            ) as answer:
                body = await answer.read()
                if answer.status == 429:
                    await asyncio.sleep(min(2.0, float(answer.headers.get("Retry-After", 1))))
                return json.loads(body) if answer.status == 200 else None
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            await asyncio.sleep(0.05)
            return None

    async def wanted(self, method: str, path: str, content: Any = None) -> Any:
        """The same where the attack needs the answer: tried again, ten times."""
        for _ in range(10):
            answer = await self.call(method, path, content)
            if answer is not None:
                return answer
            await asyncio.sleep(0.5)
        raise RuntimeError(f"{method} {path} is always refused")

    async def room(self, **options: Any) -> str:
        """A new public room."""
        return str(
            (await self.wanted("POST", "/createRoom", {"preset": "public_chat", **options}))["room_id"]
        )

    async def send(self, room_id: str, content: Any) -> Any:
        """A message."""
        path = f"/rooms/{quote(room_id)}/send/m.room.message/{secrets.token_hex(8)}"
        return await self.call("PUT", path, content)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection of one's own, to write to what one likes."""
        return await asyncio.open_connection("127.0.0.1", self.port, limit=2**16)

    def head(self, method: str, path: str, length: int | None = None, *, token: bool = True) -> bytes:
        """A request's head."""
        lines = [f"{method} {path} HTTP/1.1", "Host: x", f"X-Forwarded-For: {self.address}"]
        if token:
            lines.append(f"Authorization: Bearer {self.token}")
        if length is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {length}"]
        return "\r\n".join([*lines, "", ""]).encode()

    async def close(self) -> None:
        """End the session."""
        await self.session.close()


async def register(port: int) -> Attacker:
    """A new account, from an address that nobody has used."""
    number = next(_addresses)
    attacker = Attacker(port, f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}")
    _open.append(attacker)
    answer = await attacker.wanted(
        "POST",
        "/register",
        {"username": f"u{secrets.token_hex(5)}", "password": PASSWORD, "auth": {"type": "m.login.dummy"}},
    )
    attacker.user_id, attacker.token = answer["user_id"], answer["access_token"]
    attacker.device_id = answer["device_id"]
    return attacker


async def close_all() -> None:
    """End every attacker's session."""
    while _open:
        await _open.pop().close()


Attack = Callable[[Attacker], Awaitable[None]]
