"""Email addresses on the pages for accounts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from palpo.services.accounts.browser_sessions import RECENT_MS
from palpo.services.accounts.threepids import REGISTER, RESET_PASSWORD
from palpo.wire.pages.account import EMAILS_PATH
from tests.support.browser import Browser
from tests.support.homeserver import Homeserver, homeserver
from tests.support.mail import Mailbox, link_in, mailbox
from tests.support.oauth import BASE, signed_in_browser

ADDRESS = "alice@example.com"
ALICE = "@alice:test.example"


@pytest.fixture
async def box() -> AsyncIterator[Mailbox]:
    async with mailbox() as running:
        yield running


@pytest.fixture
async def server(tmp_path: Path, box: Mailbox) -> AsyncIterator[Homeserver]:
    async with homeserver(tmp_path, email=box.settings, public_url=BASE) as running:
        for name in ("alice", "bob"):
            await running.register(name)
        yield running


async def addresses(server: Homeserver, user_id: str = ALICE) -> list[str]:
    return [item.address for item in await server.services.accounts.threepids.of_user(user_id)]


async def followed(box: Mailbox, browser: Browser) -> httpx.Response:
    """Where the link in a message leads."""
    parts = urlsplit(link_in(await box.next()))
    return await browser.submit(await browser.get(f"{parts.path}?{parts.query}"))


async def test_an_address_is_added_and_removed(server: Homeserver, box: Mailbox) -> None:
    browser = await signed_in_browser(server)
    sent = await browser.submit(await browser.get(EMAILS_PATH), email=ADDRESS, do="add")
    assert sent.status_code == 200
    assert await addresses(server) == []
    page = await followed(box, browser)
    # Nothing is done by following it: programs do that, and whoever was sent one by somebody else.
    assert ADDRESS in page.text
    assert await addresses(server) == []
    page = await browser.submit(page, do="confirm")
    assert page.status_code == 200
    assert await addresses(server) == [ADDRESS]
    # It is good once.
    assert (await browser.submit(page, do="confirm")).status_code == 403
    page = await browser.submit(await browser.get(EMAILS_PATH), do="remove")
    assert await addresses(server) == []
    assert ADDRESS not in page.text


async def test_an_address_that_another_has(server: Homeserver, box: Mailbox) -> None:
    await server.services.accounts.threepids.replace("@bob:test.example", [("email", ADDRESS)])
    browser = await signed_in_browser(server)
    sent = await browser.submit(await browser.get(EMAILS_PATH), email=ADDRESS, do="add")
    # Who asks is told nothing of who has it; whose it is, is.
    assert sent.status_code == 200
    await box.next()
    await browser.submit(await browser.get(EMAILS_PATH), email=ADDRESS, do="remove")
    assert await addresses(server, "@bob:test.example") == [ADDRESS]


@pytest.mark.parametrize("email", ["", "nonsense", "a@b@c", "x" * 300 + "@example.com"])
async def test_what_is_no_address(server: Homeserver, email: str) -> None:
    browser = await signed_in_browser(server)
    page = await browser.submit(await browser.get(EMAILS_PATH), email=email, do="add")
    assert page.status_code == 400


@pytest.mark.parametrize("purpose", [RESET_PASSWORD, REGISTER])
async def test_a_link_for_something_else_adds_nothing(server: Homeserver, box: Mailbox, purpose: str) -> None:
    threepids = server.services.accounts.threepids
    if purpose == RESET_PASSWORD:
        await threepids.replace("@bob:test.example", [("email", ADDRESS)])
    sid = await threepids.request_email(purpose, ADDRESS, "s", 1, None)
    browser = await signed_in_browser(server)
    await followed(box, browser)
    page = await browser.get(f"{EMAILS_PATH}?sid={sid}&client_secret=s")
    page = await browser.submit(page, do="confirm")
    assert page.status_code == 403
    assert await addresses(server) == []


@pytest.mark.parametrize("query", ["?sid=x&client_secret=y", "?sid=x"])
async def test_nothing_is_added_without_the_link(server: Homeserver, query: str) -> None:
    browser = await signed_in_browser(server)
    assert (await browser.get(EMAILS_PATH + query)).status_code == 403


async def test_without_email_none_is_added(tmp_path: Path) -> None:
    async with homeserver(tmp_path, public_url=BASE) as server:
        await server.register("alice")
        browser = await signed_in_browser(server)
        page = await browser.get(EMAILS_PATH)
        assert 'value="add"' not in page.text


async def test_who_signed_in_long_ago_does_so_again(server: Homeserver) -> None:
    browser = await signed_in_browser(server)
    page = await browser.get(EMAILS_PATH)
    server.clock.advance(RECENT_MS)
    for again in (await browser.get(EMAILS_PATH), await browser.submit(page, email=ADDRESS, do="add")):
        assert "again=true" in str(again.url)
