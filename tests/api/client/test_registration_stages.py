"""What registration may ask for: tokens, terms, a challenge, an address."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.homeserver import PASSWORD, Client, Homeserver, homeserver
from tests.support.mail import mailbox
from tests.support.post_server import post_server

TOKEN = "m.login.registration_token"
DUMMY = "m.login.dummy"
VALIDITY = "//_matrix/client/v1/register/m.login.registration_token/validity"
DAY_MS = 24 * 3600 * 1000


@pytest.fixture
async def closed(tmp_path: Path) -> AsyncIterator[Homeserver]:
    """A server where nobody registers without a token."""
    async with homeserver(tmp_path, registration={"open": False}) as server:
        yield server


async def begin(client: Client, username: str) -> dict[str, Any]:
    body = {"username": username, "password": PASSWORD}
    challenge: dict[str, Any] = await client.post("/register", body, status=401)
    return challenge


async def attempt(
    client: Client, username: str, session: str, stage: str, *, status: int = 401, **auth: Any
) -> dict[str, Any]:
    auth = {"type": stage, "session": session, **auth}
    body = {"username": username, "password": PASSWORD, "auth": auth}
    answer: dict[str, Any] = await client.post("/register", body, status=status)
    return answer


async def valid(client: Client, token: str) -> bool:
    answer = await client.request("GET", VALIDITY, params={"token": token})
    found: bool = answer["valid"]
    return found


async def test_a_token_makes_so_many_accounts(closed: Homeserver) -> None:
    client = closed.client()
    await client.post("/register", {"username": "x", "password": PASSWORD}, status=403)
    await closed.services.accounts.registration_tokens.create("once", uses_allowed=1)
    assert await valid(client, "once")
    first, second = await begin(client, "first"), await begin(client, "second")
    assert first["flows"] == [{"stages": [TOKEN, DUMMY]}]
    held = await attempt(client, "first", first["session"], TOKEN, token="once")
    assert held["completed"] == [TOKEN]
    assert not await valid(client, "once"), "the only use is held"
    refused = await attempt(client, "second", second["session"], TOKEN, token="once")
    assert refused["errcode"] == "M_FORBIDDEN"
    again = await attempt(client, "first", first["session"], TOKEN, token="once")
    assert again["completed"] == [TOKEN]
    await attempt(client, "first", first["session"], DUMMY, status=200)
    assert not await valid(client, "once")
    tokens = await closed.services.accounts.registration_tokens.all()
    assert [(item.token, item.completed) for item in tokens] == [("once", 1)]


async def test_a_use_that_comes_to_nothing_is_given_back(closed: Homeserver) -> None:
    client = closed.client()
    await closed.services.accounts.registration_tokens.create("once", uses_allowed=1)
    first = await begin(client, "first")
    await attempt(client, "first", first["session"], TOKEN, token="once")
    closed.clock.advance(21 * 60 * 1000)
    second = await begin(client, "second")
    held = await attempt(client, "second", second["session"], TOKEN, token="once")
    assert held["completed"] == [TOKEN]


async def test_tokens_expire_and_are_revoked(closed: Homeserver) -> None:
    tokens, client = closed.services.accounts.registration_tokens, closed.client()
    made = await tokens.create(valid_ms=DAY_MS)
    kept = await tokens.create("kept")
    closed.clock.advance(DAY_MS)
    assert not await valid(client, made.token)
    assert await valid(client, kept.token)
    await tokens.revoke("kept")
    assert not await valid(client, "kept")
    session = (await begin(client, "x"))["session"]
    for odd in ("kept", "", "nul\0", 7, None, "x" * 1000):
        refused = await attempt(client, "x", session, TOKEN, token=odd)
        assert refused["errcode"] == "M_FORBIDDEN"


async def test_terms(tmp_path: Path) -> None:
    terms = [
        {"policy": "privacy", "version": "2", "language": "en", "name": "Privacy", "url": "https://x/en"},
        {"policy": "privacy", "version": "2", "language": "fr", "name": "Vie", "url": "https://x/fr"},
    ]
    async with homeserver(tmp_path, registration={"terms": terms}) as server:
        client = server.client()
        challenge = await begin(client, "alice")
        assert challenge["flows"] == [{"stages": ["m.login.terms"]}]
        assert challenge["params"]["m.login.terms"]["policies"] == {
            "privacy": {
                "version": "2",
                "en": {"name": "Privacy", "url": "https://x/en"},
                "fr": {"name": "Vie", "url": "https://x/fr"},
            }
        }
        page = "//_matrix/client/v3/auth/m.login.terms/fallback/web"
        params = {"session": challenge["session"]}
        shown = await client.request("GET", page, params=params)
        assert "https://x/fr" in shown.text
        await client.request("POST", page, params=params)
        auth = {"session": challenge["session"]}
        body = {"username": "alice", "password": PASSWORD, "auth": auth}
        assert (await client.post("/register", body))["user_id"] == "@alice:test.example"


async def test_a_challenge(tmp_path: Path) -> None:
    async with post_server() as checker:
        captcha = {"public_key": "site", "private_key": "hush", "verify_url": f"{checker.url}/verify"}
        settings = {"network": {"allow": ["127.0.0.0/8"]}, "registration": {"captcha": captcha}}
        async with homeserver(tmp_path, **settings) as server:
            client = server.client()
            challenge = await begin(client, "alice")
            assert challenge["params"] == {"m.login.recaptcha": {"public_key": "site"}}
            session = challenge["session"]
            checker.answer = {"success": False}
            stage = "m.login.recaptcha"
            refused = await attempt(client, "alice", session, stage, response="wrong")
            assert refused["errcode"] == "M_CAPTCHA_INVALID"
            assert (await checker.next()).body == {"secret": "hush", "response": "wrong"}
            missing = await attempt(client, "alice", session, stage)
            assert missing["errcode"] == "M_CAPTCHA_NEEDED"
            checker.answer = {"success": True}
            await attempt(client, "alice", session, stage, status=200, response="right")


async def test_an_address_that_is_required(tmp_path: Path) -> None:
    async with mailbox() as box:
        settings = {"email": box.settings, "registration": {"email": "required", "token": "secret"}}
        async with homeserver(tmp_path, **settings) as server:
            challenge = await begin(server.client(), "alice")
            assert [flow["stages"] for flow in challenge["flows"]] == [
                ["m.login.email.identity"],
                [TOKEN, "m.login.email.identity", DUMMY],
            ]
            creds = {"sid": "x", "client_secret": "y"}
            refused = await attempt(
                server.client(),
                "alice",
                challenge["session"],
                "m.login.email.identity",
                threepid_creds=creds,
            )
            assert refused["errcode"] == "M_THREEPID_AUTH_FAILED"
