"""What users do with their accounts in a browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from palpo.services.accounts.browser_sessions import RECENT_MS
from palpo.wire.pages.account import (
    ACTIONS,
    CROSS_SIGNING_PATH,
    DEACTIVATION_PATH,
    EMAILS_PATH,
    PASSWORD_PATH,
    SESSION_PATH,
    SESSIONS_PATH,
)
from tests.support.browser import Browser, FormOf
from tests.support.encryption import cross_signing_keys
from tests.support.homeserver import PASSWORD, Client, Homeserver, homeserver
from tests.support.oauth import BASE, register, signed_in_browser

HOME = "/_palpo/account/"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Homeserver]:
    async with homeserver(tmp_path, public_url=BASE) as running:
        yield running


@pytest.fixture
async def alice(server: Homeserver) -> Client:
    return await server.register("alice")


@pytest.fixture
async def browser(server: Homeserver, alice: Client) -> Browser:
    return await signed_in_browser(server)


PAGES = [HOME, EMAILS_PATH, SESSIONS_PATH, f"{SESSION_PATH}?device_id=D", PASSWORD_PATH, DEACTIVATION_PATH]
FORMS = [HOME, EMAILS_PATH, SESSIONS_PATH, SESSION_PATH, PASSWORD_PATH, CROSS_SIGNING_PATH, DEACTIVATION_PATH]


@pytest.mark.parametrize("path", PAGES)
async def test_who_is_not_signed_in_is_asked_to(server: Homeserver, path: str) -> None:
    page = await Browser(server, BASE).get(path)
    assert "/_palpo/account/login?next=" in str(page.url)


@pytest.mark.parametrize("path", FORMS)
async def test_csrf_no_form_of_another_site_is_taken(browser: Browser, path: str) -> None:
    assert (await browser.post(path, {"do": "end", "displayname": "x"})).status_code == 403


@pytest.mark.parametrize("path", [PASSWORD_PATH, CROSS_SIGNING_PATH, DEACTIVATION_PATH])
async def test_what_is_grave_takes_a_fresh_sign_in(server: Homeserver, browser: Browser, path: str) -> None:
    page = await browser.get(path)
    server.clock.advance(RECENT_MS)
    for again in (await browser.get(path), await browser.submit(page)):
        assert "again=true" in str(again.url)
    back = await browser.submit(again, password=PASSWORD)
    assert str(back.url) == BASE + path


@pytest.mark.parametrize("action", [*ACTIONS, "unknown"])
async def test_clients_link_to_what_is_wanted(alice: Client, browser: Browser, action: str) -> None:
    page = await browser.get(HOME, params={"action": action, "device_id": alice.device_id})
    assert page.status_code == 200
    if "view" in action or "delete" in action or action.endswith("session_end"):
        assert alice.device_id in page.text


async def test_the_display_name(alice: Client, browser: Browser) -> None:
    page = await browser.get(HOME)
    hostile = "<b>Alice</b>\"'{{ 7919 * 7907 }}{user}"
    page = await browser.submit(page, displayname=hostile)
    assert (await alice.get(f"/profile/{alice.user_id}"))["displayname"] == hostile
    assert "<b>Alice" not in page.text
    assert "62615533" not in page.text


async def test_who_is_suspended_changes_no_name(server: Homeserver, alice: Client, browser: Browser) -> None:
    page = await browser.get(HOME)
    await server.services.accounts.accounts.set_flags(alice.user_id, suspended=True)
    assert (await browser.submit(page, displayname="New")).status_code == 403


async def test_a_session_is_named_and_ended(server: Homeserver, alice: Client, browser: Browser) -> None:
    page = await browser.get(SESSION_PATH, params={"device_id": alice.device_id})
    page = await browser.submit(page, 0, do="rename", name="Phone")
    assert (await alice.get(f"/devices/{alice.device_id}"))["display_name"] == "Phone"
    page = await browser.submit(page, 1, do="end")
    assert page.status_code == 200
    await alice.get("/account/whoami", status=401)


async def test_a_session_of_somebody_else_is_not_there(server: Homeserver, browser: Browser) -> None:
    bob = await server.register("bob")
    page = await browser.get(SESSION_PATH, params={"device_id": bob.device_id})
    assert page.status_code == 404
    csrf = FormOf(page.text).forms[0][1]["csrf"]
    form = {"csrf": csrf, "device_id": bob.device_id, "do": "end"}
    assert (await browser.post(SESSION_PATH, form)).status_code == 404
    await bob.get("/account/whoami")


async def test_a_session_says_which_client_has_it(server: Homeserver, browser: Browser) -> None:
    app = await register(server)
    tokens = await app.sign_in(browser)
    page = await browser.get(SESSION_PATH, params={"device_id": app.device_id})
    assert "An App (https://app.example/)" in page.text
    page = await browser.submit(page, 1, do="end")
    await app.matrix(tokens["access_token"]).get("/account/whoami", status=401)
    assert (await app.refresh(tokens["refresh_token"], 400))["error"] == "invalid_grant"


async def test_another_browser_is_signed_out(server: Homeserver, browser: Browser) -> None:
    other = await signed_in_browser(server)
    page = await browser.get(SESSIONS_PATH)
    sessions = await server.services.accounts.browser_sessions.list("@alice:test.example")
    mine = await server.services.accounts.browser_sessions.find(browser.http.cookies["__Host-palpo_session"])
    assert mine is not None
    (theirs,) = {session.session_id for session in sessions} - {mine.session_id}
    await browser.submit(page, session_id=theirs)
    assert "login" in str((await other.get(HOME)).url)
    page = await browser.submit(page, session_id=mine.session_id)
    assert "login" in str(page.url)


async def test_a_new_password(server: Homeserver, alice: Client, browser: Browser) -> None:
    page = await browser.get(PASSWORD_PATH)
    fields = {"new_password": "another password", "again": "another password"}
    assert (await browser.submit(page, **{**fields, "again": "different"})).status_code == 400
    assert (await browser.submit(page, new_password="short", again="short")).status_code == 400
    other = await signed_in_browser(server)
    page = await browser.submit(page, **fields)
    assert page.status_code == 200
    await alice.get("/account/whoami")
    page = await browser.submit(await browser.get(PASSWORD_PATH), **fields, others="1")
    assert str(page.url) == BASE + HOME
    await alice.get("/account/whoami", status=401)
    assert "login" in str((await other.get(HOME)).url)
    page = await Browser(server, BASE).sign_in("alice", HOME, "another password")
    assert str(page.url) == BASE + HOME


async def test_the_accounts_end(server: Homeserver, alice: Client, browser: Browser) -> None:
    page = await browser.get(DEACTIVATION_PATH)
    assert (await browser.submit(page, user_id="@bob:test.example")).status_code == 400
    await alice.get("/account/whoami")
    page = await browser.submit(page, user_id=alice.user_id)
    assert page.status_code == 200
    account = await server.services.accounts.accounts.find(alice.user_id)
    assert account is not None
    assert account.deactivated
    assert "login" in str((await browser.get(HOME)).url)


async def test_cross_signing_keys_are_replaced_after_the_page_allowed_it(
    server: Homeserver, alice: Client, browser: Browser
) -> None:
    """Stage ``m.oauth``: a session by OAuth 2.0 has no password to show."""
    upload = "/keys/device_signing/upload"
    app = await register(server)
    client = app.matrix((await app.sign_in(browser))["access_token"])
    page = await browser.get(CROSS_SIGNING_PATH)
    assert (await browser.submit(page)).status_code == 404
    await client.post(upload, cross_signing_keys(alice.user_id, "a"))
    new = cross_signing_keys(alice.user_id, "b")
    challenge = await client.post(upload, new, status=401)
    assert {"stages": ["m.oauth"]} in challenge["flows"]
    url = challenge["params"]["m.oauth"]["url"]
    assert url == f"{BASE}/_palpo/account/?action=org.matrix.cross_signing_reset"
    auth = {"session": challenge["session"]}
    await client.post(upload, {**new, "auth": auth}, status=401)
    await client.post(upload, {**new, "auth": {**auth, "type": "m.oauth"}}, status=401)
    page = await browser.get(url.removeprefix(BASE))
    assert (await browser.post(CROSS_SIGNING_PATH, {"x": "y"})).status_code == 403
    assert (await browser.submit(page)).status_code == 200
    await client.post(upload, {**new, "auth": auth})
    # Once: the next time, it is to be allowed again. Who has logged in by password shows that.
    another = cross_signing_keys(alice.user_id, "c")
    await client.post(upload, another, status=401)
    legacy = await alice.post(upload, another, status=401)
    assert legacy["flows"] == [{"stages": ["m.login.password"]}]
