"""Clients that know of OAuth 2.0 without speaking it are sent to this server's own pages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.sign_on.support import CLIENT, REDIRECT, log_in, serving
from tests.support.homeserver import PASSWORD, Homeserver
from tests.support.visitor import Visitor

ELSEWHERE = "https://elsewhere.example/"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Homeserver]:
    async with serving(tmp_path) as running:
        await running.register("alice")
        yield running


async def sign_in(browser: Visitor, redirect_url: str, action: str = "login") -> None:
    query = urlencode({"redirectUrl": redirect_url, "action": action})
    await browser.go(f"{REDIRECT}?{query}", until=redirect_url)
    await browser.submit(until=redirect_url, user="alice", password=PASSWORD)


async def test_they_are_told(server: Homeserver) -> None:
    flows = (await server.client().get("/login"))["flows"]
    assert {"type": "m.login.sso", "oauth_aware_preferred": True} in flows


async def test_a_listed_client(server: Homeserver) -> None:
    browser = Visitor(server.app)
    await sign_in(browser, CLIENT)
    assert (await log_in(server, browser.location)).user_id == "@alice:test.example"
    await browser.close()


async def test_a_client_that_is_not_listed(server: Homeserver) -> None:
    browser = Visitor(server.app)
    await sign_in(browser, ELSEWHERE)
    assert "https://elsewhere.example" in browser.answer.text
    page = browser.answer
    await browser.submit(until=ELSEWHERE, drop=("csrf",), other="field")
    assert browser.answer.status_code == 403
    browser.answer = page
    await browser.submit(until=ELSEWHERE)
    assert (await log_in(server, browser.location)).user_id == "@alice:test.example"
    await browser.close()


async def test_who_wants_to_register(server: Homeserver) -> None:
    browser = Visitor(server.app)
    query = urlencode({"redirectUrl": CLIENT, "action": "register"})
    await browser.go(f"{REDIRECT}?{query}")
    assert "/_palpo/account/register" in browser.at
    await browser.close()


@pytest.mark.parametrize("url", ["javascript:alert(1)", "//evil.example", "https://a.example\\@b.example"])
async def test_open_redirects(server: Homeserver, url: str) -> None:
    browser = Visitor(server.app)
    await sign_in(browser, CLIENT)
    answer = await browser.go(f"/_palpo/account/continue?{urlencode({'redirectUrl': url})}")
    assert answer.status_code == 400
    await browser.close()


async def test_without_oauth_there_is_no_such_flow(tmp_path: Path) -> None:
    async with serving(tmp_path, oauth={"enabled": False}) as running:
        flows = (await running.client().get("/login"))["flows"]
        assert "m.login.sso" not in [flow["type"] for flow in flows]
        answer = await running.http.get(REDIRECT, params={"redirectUrl": CLIENT})
        assert answer.status_code == 404
