"""Making an account in a browser, and a new password for who has forgotten the old one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from palpo.wire.pages.registration import NEW_PASSWORD_PATH, RECOVERY_PATH, REGISTRATION_PATH
from tests.support.browser import Browser
from tests.support.homeserver import PASSWORD, Homeserver, homeserver
from tests.support.mail import Mailbox, link_in, mailbox
from tests.support.oauth import BASE, answered, register

NEW = {"username": "alice", "password": PASSWORD, "again": PASSWORD}
ADDRESS = "alice@example.com"
TERMS = {"policy": "privacy", "version": "1", "name": "Privacy", "url": "https://test.example/privacy"}


@pytest.fixture
async def box() -> AsyncIterator[Mailbox]:
    async with mailbox() as running:
        yield running


async def user_of(server: Homeserver, browser: Browser) -> str:
    token = browser.http.cookies.get("__Host-palpo_session", "")
    session = await server.services.accounts.browser_sessions.find(token)
    return session.user_id if session is not None else ""


async def follow(box: Mailbox, browser: Browser) -> httpx.Response:
    """Open the link in the next message, and say that the address is one's own."""
    parts = urlsplit(link_in(await box.next()))
    page = await browser.get(f"{parts.path}?{parts.query}")
    return await browser.submit(page)


async def test_prompt_create_leads_to_an_account_and_back(tmp_path: Path) -> None:
    async with homeserver(tmp_path, public_url=BASE) as server:
        app, browser = await register(server), Browser(server, BASE)
        page = await browser.get(app.url(prompt="create"))
        assert REGISTRATION_PATH in str(page.url)
        assert (await browser.submit(page, **{**NEW, "again": "different"})).status_code == 400
        assert (await browser.submit(page, **{**NEW, "username": "no spaces"})).status_code == 400
        page = await browser.submit(page, **NEW)
        assert "An App" in page.text
        answer = answered(await browser.submit(page, decision="allow"))
        tokens = await app.redeem(answer["code"])
        whoami = await app.matrix(tokens["access_token"]).get("/account/whoami")
        assert whoami["user_id"] == "@alice:test.example"


async def test_where_registration_is_closed_nobody_is_sent_there(tmp_path: Path) -> None:
    async with homeserver(tmp_path, public_url=BASE, registration={"open": False}) as server:
        app, browser = await register(server), Browser(server, BASE)
        page = await browser.get(app.url(prompt="create"))
        assert "/_palpo/account/login" in str(page.url)
        assert REGISTRATION_PATH not in page.text
        assert (await browser.get(REGISTRATION_PATH)).status_code == 403
        assert (await browser.post(REGISTRATION_PATH, NEW)).status_code == 403


async def test_csrf_and_a_name_that_is_taken(tmp_path: Path) -> None:
    async with homeserver(tmp_path, public_url=BASE) as server:
        await server.register("alice")
        browser = Browser(server, BASE)
        assert (await browser.post(REGISTRATION_PATH, NEW)).status_code == 403
        page = await browser.submit(await browser.get(REGISTRATION_PATH), **NEW)
        assert page.status_code == 400
        assert "The user ID is taken" in page.text
        assert await user_of(server, browser) == ""


async def test_terms_and_tokens_are_asked_for(tmp_path: Path) -> None:
    settings = {"open": False, "token": "letmein", "terms": [TERMS]}
    async with homeserver(tmp_path, public_url=BASE, registration=settings) as server:
        browser = Browser(server, BASE)
        page = await browser.get(REGISTRATION_PATH)
        for missing in ({}, {"token": "letmein"}, {"terms": "1"}, {"terms": "1", "token": "wrong"}):
            refused = await browser.submit(page, **NEW, **missing)
            assert refused.status_code in (400, 403)
        await browser.submit(page, **NEW, terms="1", token="letmein")
        assert await user_of(server, browser) == "@alice:test.example"


async def test_an_address_is_shown_first_where_one_is_required(tmp_path: Path, box: Mailbox) -> None:
    settings = {"email": box.settings, "registration": {"email": "required"}, "public_url": BASE}
    async with homeserver(tmp_path, **settings) as server:
        browser = Browser(server, BASE)
        page = await browser.get(REGISTRATION_PATH)
        assert (await browser.submit(page, email="nonsense")).status_code == 400
        sent = await browser.submit(page, email=ADDRESS)
        assert sent.status_code == 200
        page = await follow(box, browser)
        assert str(page.url).startswith(BASE + REGISTRATION_PATH)
        await browser.submit(page, **NEW)
        assert await user_of(server, browser) == "@alice:test.example"
        found = await server.services.accounts.threepids.of_user("@alice:test.example")
        assert [item.address for item in found] == [ADDRESS]


async def test_registering_is_throttled(tmp_path: Path) -> None:
    limits = {"enabled": True, "registration": {"per_second": 0.1, "burst": 1}}
    async with homeserver(tmp_path, public_url=BASE, rate_limits=limits) as server:
        found = []
        for number in range(3):
            browser = Browser(server, BASE)
            page = await browser.get(REGISTRATION_PATH)
            found.append((await browser.submit(page, **{**NEW, "username": f"user{number}"})).status_code)
        assert found[1:] == [429, 429]


async def test_a_forgotten_password(tmp_path: Path, box: Mailbox) -> None:
    async with homeserver(tmp_path, email=box.settings, public_url=BASE) as server:
        alice = await server.register("alice")
        threepids = server.services.accounts.threepids
        browser = Browser(server, BASE)
        page = await browser.get("/_palpo/account/login")
        assert RECOVERY_PATH in page.text
        page = await browser.get(RECOVERY_PATH)
        # Enumeration: who has no account is told the same on the page, and the rest in a message.
        unknown = await browser.submit(page, email="nobody@example.com")
        assert "link" not in (await box.next()).get_content().split("There is no account")[0].lower()

        sid = await threepids.request_email("add", ADDRESS, "s", 1, None)
        parts = urlsplit(link_in(await box.next()))
        await browser.submit(await browser.get(f"{parts.path}?{parts.query}"))
        await threepids.add(alice.user_id, await threepids.validated(sid, "s"))

        sent = await browser.submit(page, email=ADDRESS)
        assert sent.status_code == unknown.status_code == 200
        assert sent.text.partition("<main>")[2] == unknown.text.partition("<main>")[2]
        page = await follow(box, browser)
        fields = {"new_password": "another password", "again": "another password"}
        assert (await browser.submit(page, new_password="x", again="y")).status_code == 400
        await browser.submit(page, **fields, others="1")
        assert await user_of(server, browser) == alice.user_id
        await alice.get("/account/whoami", status=401)
        # The link is good once.
        assert (await Browser(server, BASE).get(str(page.url).removeprefix(BASE))).status_code == 403


@pytest.mark.parametrize("query", ["", "?sid=x&client_secret=y"])
async def test_nobody_resets_a_password_without_the_link(tmp_path: Path, box: Mailbox, query: str) -> None:
    async with homeserver(tmp_path, email=box.settings, public_url=BASE) as server:
        page = await Browser(server, BASE).get(NEW_PASSWORD_PATH + query)
        assert page.status_code == 403


async def test_without_email_nothing_is_recovered(tmp_path: Path) -> None:
    async with homeserver(tmp_path, public_url=BASE) as server:
        browser = Browser(server, BASE)
        assert (await browser.get(RECOVERY_PATH)).status_code == 403
        assert RECOVERY_PATH not in (await browser.get("/_palpo/account/login")).text
