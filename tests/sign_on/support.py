"""A server behind a provider of sign-on, and what a client does."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.homeserver import Client, Homeserver, homeserver

REDIRECT = "/_matrix/client/v3/login/sso/redirect"
CLIENT = "https://client.example/app"


@asynccontextmanager
async def serving(path: Path, **settings: Any) -> AsyncIterator[Homeserver]:
    """A server that may reach this machine's providers, at a time that they agree on."""
    given: dict[str, Any] = {
        "public_url": "http://test.example",
        "network": {"allow": ["127.0.0.1/32"]},
        "sso": {"client_whitelist": [CLIENT]},
        **settings,
    }
    async with homeserver(path, **given) as server:
        server.clock.advance(int(time.time() * 1000) - server.clock.now_ms())
        yield server


def token_in(url: str) -> str:
    """The login token in a client's URL."""
    return parse_qs(urlsplit(url).query)["loginToken"][0]


async def log_in(server: Homeserver, url: str) -> Client:
    """What a client does with the URL at which it waits."""
    answer = await server.client().post("/login", {"type": "m.login.token", "token": token_in(url)})
    return Client(server.http, answer["user_id"], answer["access_token"], answer["device_id"])
