"""Signing on by OpenID Connect, at a provider that others have written and certified."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.sign_on import oidc
from tests.sign_on.oidc import Provider, client
from tests.support.homeserver import Client, Homeserver, homeserver
from tests.support.visitor import Visitor

REDIRECT = "/_matrix/client/v3/login/sso/redirect"
CLIENT = "https://client.example/app"


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with oidc.running(client(logout=True, post_logout_redirect_uris=["https://client.example/"])) as started:
        yield started


@asynccontextmanager
async def serving(path: Path, *providers: dict[str, Any], **settings: Any) -> AsyncIterator[Homeserver]:
    given: dict[str, Any] = {
        "public_url": "http://test.example",
        "network": {"allow": ["127.0.0.1/32"]},
        "sso": {"client_whitelist": [CLIENT]},
        "oidc": providers,
        **settings,
    }
    async with homeserver(path, **given) as server:
        server.clock.advance(int(time.time() * 1000) - server.clock.now_ms())
        yield server


@pytest.fixture
async def server(tmp_path: Path, provider: Provider) -> AsyncIterator[Homeserver]:
    async with serving(tmp_path, provider.config(backchannel_logout=True)) as running:
        yield running


@pytest.fixture
async def browser(server: Homeserver) -> AsyncIterator[Visitor]:
    opened = Visitor(server.app)
    yield opened
    await opened.close()


def token_in(url: str) -> str:
    return parse_qs(urlsplit(url).query)["loginToken"][0]


async def log_in(server: Homeserver, url: str) -> Client:
    """What a client does with the URL at which it waits."""
    answer = await server.client().post("/login", {"type": "m.login.token", "token": token_in(url)})
    return Client(server.http, answer["user_id"], answer["access_token"], answer["device_id"])


async def sign_on(browser: Visitor, account: str, redirect_url: str = CLIENT) -> None:
    await browser.go(f"{REDIRECT}/work?{urlencode({'redirectUrl': redirect_url})}")
    await oidc.sign_in(browser, account)


async def test_a_new_user_signs_on(server: Homeserver, browser: Visitor) -> None:
    flows = (await server.client().get("/login"))["flows"]
    assert {"type": "m.login.sso", "identity_providers": [{"id": "work", "name": "Work"}]} in flows
    await sign_on(browser, "alice-1")
    assert browser.location.startswith(f"{CLIENT}?loginToken=")
    alice = await log_in(server, browser.location)
    assert alice.user_id == "@alice:test.example"
    profile = await alice.get("/profile/@alice:test.example")
    assert profile["displayname"] == "Alice of Wonderland"
    (address,) = (await alice.get("/account/3pid"))["threepids"]
    assert address["address"] == "alice@work.example"


async def test_who_signs_on_again_has_the_same_account(server: Homeserver, browser: Visitor) -> None:
    await sign_on(browser, "alice-1")
    first = await log_in(server, browser.location)
    other = Visitor(server.app)
    await sign_on(other, "alice-1")
    second = await log_in(server, other.location)
    await other.close()
    assert first.user_id == second.user_id
    assert first.device_id != second.device_id
