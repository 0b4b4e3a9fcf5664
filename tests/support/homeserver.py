"""A homeserver within the test's own process, and clients that talk to it over ASGI."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx

from palpo.api.app import PalpoApp
from palpo.app import application
from palpo.config.loader import convert
from palpo.config.model import Config
from palpo.streams.clock import FakeClock
from palpo.workers.appservices import DELIVERY, Delivery
from tests.support import databases

PASSWORD = "correct horse battery"
if find_spec("sniffio") is None:
    # httpx asks for it at each request, and Python would look through its whole path each time.
    sys.modules["sniffio"] = None  # type: ignore[assignment]


def config(data: Path, **overrides: Any) -> Config:
    """A configuration for tests: open registration, cheap password hashes, no rate limits, no federation."""
    values: dict[str, Any] = {
        "server_name": "test.example",
        "data": str(data),
        "rate_limits": {"enabled": False},
        "registration": {"open": True, "guests": True, "shared_secret": "complement"},
        "password": {"time_cost": 1, "memory_kib": 8},
        "federation": {"enabled": False},
        "log": {"requests": False, "level": "error"},
    }
    for name, value in overrides.items():
        known = values.get(name)
        values[name] = {**known, **value} if isinstance(known, dict) and isinstance(value, dict) else value
    return convert(values)


class Client:
    """One user's device. Every call returns the decoded JSON and checks the status."""

    def __init__(
        self, http: httpx.AsyncClient, user_id: str = "", token: str = "", device_id: str = ""
    ) -> None:
        self.http = http
        self.user_id = user_id
        self.token = token
        self.device_id = device_id
        self._transactions = 0

    async def request(
        self, method: str, path: str, json: Any = None, *, status: int | None = 200, **options: Any
    ) -> Any:
        """Call ``path`` below /_matrix (or an absolute path that starts with ``//``)."""
        headers = dict(options.pop("headers", {}))
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        url = path[1:] if path.startswith("//") else f"/_matrix{path}"
        response = await self.http.request(method, url, json=json, headers=headers, **options)
        if status is not None:
            assert response.status_code == status, f"{method} {path}: {response.status_code} {response.text}"
        if response.headers["content-type"].startswith("application/json"):
            return response.json()
        return response

    async def get(self, path: str, **options: Any) -> Any:
        """GET below /_matrix/client/v3."""
        return await self.request("GET", f"/client/v3{path}", **options)

    async def post(self, path: str, json: Any = None, **options: Any) -> Any:
        """POST below /_matrix/client/v3."""
        return await self.request("POST", f"/client/v3{path}", {} if json is None else json, **options)

    async def put(self, path: str, json: Any = None, **options: Any) -> Any:
        """PUT below /_matrix/client/v3."""
        return await self.request("PUT", f"/client/v3{path}", {} if json is None else json, **options)

    async def delete(self, path: str, json: Any = None, **options: Any) -> Any:
        """DELETE below /_matrix/client/v3."""
        return await self.request("DELETE", f"/client/v3{path}", json, **options)

    def transaction_id(self) -> str:
        """A transaction ID that this client has not used."""
        self._transactions += 1
        return f"txn{self._transactions}"

    async def create_room(self, **body: Any) -> str:
        """Create a room; its ID."""
        room_id: str = (await self.post("/createRoom", body))["room_id"]
        return room_id

    async def send(self, room_id: str, body: str, event_type: str = "m.room.message") -> str:
        """Send a text message; its event ID."""
        content = {"msgtype": "m.text", "body": body}
        path = f"/rooms/{room_id}/send/{event_type}/{self.transaction_id()}"
        event_id: str = (await self.put(path, content))["event_id"]
        return event_id


class Homeserver:
    """A running homeserver."""

    def __init__(self, app: PalpoApp, clock: FakeClock) -> None:
        self.app = app
        self.clock = clock
        self.services = app.services
        transport = httpx.ASGITransport(app=app)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://test.example")

    def client(self) -> Client:
        """A client that has not logged in."""
        return Client(self.http)

    async def register(self, localpart: str) -> Client:
        """A new account with the password PASSWORD, and a client logged in to it."""
        body = {"username": localpart, "password": PASSWORD, "auth": {"type": "m.login.dummy"}}
        answer = await self.client().post("/register", body)
        return Client(self.http, answer["user_id"], answer["access_token"], answer["device_id"])

    async def login(self, localpart: str) -> Client:
        """One more device of an account."""
        identifier = {"type": "m.id.user", "user": localpart}
        body = {"type": "m.login.password", "identifier": identifier, "password": PASSWORD}
        answer = await self.client().post("/login", body)
        return Client(self.http, answer["user_id"], answer["access_token"], answer["device_id"])


@asynccontextmanager
async def homeserver(
    data: Path, *, delivery: Delivery = DELIVERY, **overrides: Any
) -> AsyncIterator[Homeserver]:
    """Run a homeserver in the folder ``data``; a second time in the same folder is a restart."""
    clock = FakeClock()
    if "database" not in overrides:
        url = await databases.prepare(data)
        overrides = overrides if url is None else {**overrides, "database": {"url": url}}
    with databases.turns():
        async with application(config(data, **overrides), clock=clock, delivery=delivery) as app:
            server = Homeserver(app, clock)
            async with server.http:
                yield server
