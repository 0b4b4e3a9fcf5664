"""An application service: a real HTTP server on loopback that keeps what it is asked."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

import uvicorn
import yaml

from tests.support.homeserver import Client, Homeserver

AS_TOKEN = "as-token"
HS_TOKEN = "hs-token"
TRANSACTIONS = "/_matrix/app/v1/transactions/"


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def registration(folder: Path, **values: Any) -> str:
    """Write a registration file; its path. ``values`` replace or add keys."""
    content = {
        "id": "bridge",
        "url": None,
        "as_token": AS_TOKEN,
        "hs_token": HS_TOKEN,
        "sender_localpart": "_bridge",
        "namespaces": {
            "users": [{"regex": "@_irc_.*", "exclusive": True}],
            "aliases": [{"regex": "#_irc_.*", "exclusive": True}],
        },
        **values,
    }
    path = folder / f"{content['id']}.yaml"
    path.write_text(yaml.safe_dump(content))
    return str(path)


@dataclass
class Asked:
    """A request that the application service got."""

    method: str
    path: str
    query: dict[str, list[str]]
    token: str | None
    body: Any


@dataclass
class Appservice:
    """What it was asked, and how it answers: ``answer(asked)`` gives a status and JSON."""

    port: int = field(default_factory=free_port)
    asked: list[Asked] = field(default_factory=list)
    answer: Callable[[Asked], Any] = lambda asked: (200, {})

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def transactions(self) -> list[Asked]:
        """The transactions that it was sent, acknowledged or not."""
        return [item for item in self.asked if item.path.startswith(TRANSACTIONS)]

    def events(self) -> list[dict[str, Any]]:
        """The events of all transactions, those of a repeated one once."""
        bodies = {item.path: item.body for item in self.transactions}
        return [event for body in bodies.values() for event in body["events"]]

    def all_of(self, key: str) -> list[Any]:
        """What all transactions have in the array ``key``."""
        return [entry for item in self.transactions for entry in item.body.get(key, [])]

    async def until(self, condition: Callable[[], Any], seconds: float = 10.0) -> Any:
        """Wait until ``condition()`` is true; its value."""
        async with asyncio.timeout(seconds):
            while not (value := condition()):  # noqa: ASYNC110 - nobody says when it comes true
                await asyncio.sleep(0.01)
            return value

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = dict(scope["headers"])
        token = headers.get(b"authorization", b"").decode().removeprefix("Bearer ")
        asked = Asked(
            method=scope["method"],
            path=unquote(scope["raw_path"].decode().partition("?")[0]),
            query=parse_qs(scope["query_string"].decode()),
            token=token or None,
            body=json.loads(body) if body else None,
        )
        self.asked.append(asked)
        answer = self.answer(asked)
        status, content = await answer if asyncio.iscoroutine(answer) else answer
        head = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": json.dumps(content).encode()})

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve; afterwards connections are refused again."""
        config = uvicorn.Config(
            self, host="127.0.0.1", port=self.port, lifespan="off", log_level="error", ws="none"
        )
        server = uvicorn.Server(config)
        server.config.load()
        task = asyncio.create_task(server._serve())
        await self.until(lambda: server.started)
        try:
            yield
        finally:
            server.should_exit = server.force_exit = True
            await task


class AppserviceUser(Client):
    """A user that an application service acts as; with an empty user ID its own sender."""

    def __init__(self, server: Homeserver, user_id: str = "", device_id: str = "", token: str = AS_TOKEN):
        super().__init__(server.http, user_id, token, device_id)

    async def request(
        self, method: str, path: str, json: Any = None, *, status: int | None = 200, **options: Any
    ) -> Any:
        params = dict(options.pop("params", {}))
        if self.user_id:
            params["user_id"] = self.user_id
        if self.device_id:
            params["device_id"] = self.device_id
        return await super().request(method, path, json, status=status, params=params, **options)


async def make_user(server: Homeserver, localpart: str, token: str = AS_TOKEN) -> AppserviceUser:
    """Let the application service register a user."""
    body = {"type": "m.login.application_service", "username": localpart, "inhibit_login": True}
    answer = await AppserviceUser(server, token=token).post("/register", body)
    return AppserviceUser(server, answer["user_id"], token=token)
