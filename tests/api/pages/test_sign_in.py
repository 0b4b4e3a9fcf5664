"""Signing in with a browser: what an attacker would try, and what users do."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from palpo.api.pages.browsers import HOME, safe_path
from palpo.cli.engines.connections import MAX_HEAD_BYTES
from palpo.services.accounts.browser_sessions import MAX_SESSIONS
from palpo.wire.pages.sign_in import LOGIN_PATH, LOGOUT_PATH
from tests.support.browser import Browser, FormOf
from tests.support.homeserver import PASSWORD, Homeserver, homeserver

THEN = "/_palpo/account/login?again=true"
"""A page that everybody has, and that says whether they are signed in."""


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Homeserver]:
    async with homeserver(tmp_path) as running:
        await running.register("alice")
        yield running


@pytest.fixture
def browser(server: Homeserver) -> Browser:
    return Browser(server)


async def is_signed_in(server: Homeserver, browser: Browser) -> bool:
    token = browser.http.cookies.get("palpo_session")
    return bool(token) and await server.services.accounts.browser_sessions.find(token or "") is not None


async def test_a_password_signs_in_and_leads_on(server: Homeserver, browser: Browser) -> None:
    page = await browser.sign_in("alice", THEN)
    assert page.status_code == 200
    assert str(page.url).endswith(THEN)
    assert await is_signed_in(server, browser)
    token = browser.http.cookies["palpo_session"]
    session = await server.services.accounts.browser_sessions.find(token)
    assert session is not None
    assert session.user_id == "@alice:test.example"
    assert not session.is_admin


@pytest.mark.parametrize("user", ["@alice:test.example", "Alice", " alice "])
async def test_users_write_their_names_in_any_way(server: Homeserver, browser: Browser, user: str) -> None:
    await browser.sign_in(user, THEN)
    assert await is_signed_in(server, browser)


async def test_enumeration_nobody_is_told_who_has_an_account(server: Homeserver, browser: Browser) -> None:
    gone = await server.register("gone")
    await server.services.accounts.accounts.deactivate(gone.user_id, erase=False)
    said = []
    for user in ("alice", "nobody", "gone"):
        page = await browser.sign_in(user, password="not the password")
        assert page.status_code == 403
        said.append(page.text.replace(user, "").replace(FormOf(page.text).forms[0][1]["csrf"], ""))
    assert len({text.partition("<main>")[2] for text in said}) == 1
    assert not await is_signed_in(server, browser)


async def test_session_fixation_a_sign_in_makes_a_new_session(server: Homeserver, browser: Browser) -> None:
    browser.http.cookies.set("palpo_session", "planted", domain="test.example")
    await browser.sign_in("alice", THEN)
    first = browser.http.cookies["palpo_session"]
    assert first != "planted"
    page = await browser.get(THEN)
    await browser.submit(page, password=PASSWORD)
    second = browser.http.cookies["palpo_session"]
    assert second != first
    assert await server.services.accounts.browser_sessions.find(first) is None
    assert await server.services.accounts.browser_sessions.find(second) is not None


async def test_csrf_forms_of_others_are_refused(server: Homeserver, browser: Browser) -> None:
    fields = {"user": "alice", "password": PASSWORD}
    assert (await browser.post(LOGIN_PATH, fields)).status_code == 403
    page = await browser.get(LOGIN_PATH)
    csrf = FormOf(page.text).forms[0][1]["csrf"]
    other = Browser(server)
    await other.get(LOGIN_PATH)
    # An attacker's own form, sent by a victim's browser: it would sign them in as the attacker.
    assert (await other.post(LOGIN_PATH, {**fields, "csrf": csrf})).status_code == 403
    crossed = {"Sec-Fetch-Site": "cross-site"}
    assert (await browser.post(LOGIN_PATH, {**fields, "csrf": csrf}, headers=crossed)).status_code == 403
    plain = await browser.http.post(
        LOGIN_PATH, content=f"csrf={csrf}", headers={"Content-Type": "text/plain"}
    )
    assert plain.status_code == 400
    assert not await is_signed_in(server, browser)
    assert not await is_signed_in(server, other)
    await browser.post(LOGIN_PATH, {**fields, "csrf": csrf})
    assert await is_signed_in(server, browser)


async def test_csrf_a_form_from_before_signing_in_is_refused_after(browser: Browser) -> None:
    before = await browser.get(LOGIN_PATH)
    await browser.sign_in("alice", THEN)
    assert (await browser.submit(before, password=PASSWORD)).status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "/\t/evil.example/",
        "/_palpo/\r\nSet-Cookie: x=y",
        "/_palpo//evil.example",
        "/_palpo/../../evil",
        "javascript:alert(1)",
        "/other",
        "_palpo/x",
        "/_palpo/ä",
        "",
    ],
)
async def test_open_redirects(browser: Browser, path: str) -> None:
    assert safe_path(path) == HOME
    page = await browser.get(LOGIN_PATH, params={"next": path})
    answer = await browser.http.post(
        page.url, data={**FormOf(page.text).forms[0][1], "user": "alice", "password": PASSWORD}
    )
    assert answer.status_code == 303
    assert answer.headers["location"] == HOME
    signed_in = await browser.http.get(LOGIN_PATH, params={"next": path})
    assert signed_in.headers["location"] == HOME


async def test_throttling_of_an_account_whatever_the_address(tmp_path: Path) -> None:
    limits = {"enabled": True, "login": {"per_second": 0.1, "burst": 3}}
    async with homeserver(tmp_path, rate_limits=limits, http={"trusted_proxies": ["127.0.0.1"]}) as server:
        await server.register("alice")
        statuses = []
        for number in range(5):
            browser = Browser(server)
            browser.http.headers["X-Forwarded-For"] = f"192.0.2.{number}"
            statuses.append((await browser.sign_in("alice", password="guess")).status_code)
        assert statuses == [403, 403, 403, 429, 429]


async def test_throttling_of_an_address_whatever_the_account(tmp_path: Path) -> None:
    limits = {"enabled": True, "login": {"per_second": 0.1, "burst": 3}}
    async with homeserver(tmp_path, rate_limits=limits) as server:
        browser = Browser(server)
        statuses = [(await browser.sign_in(f"user{n}", password="guess")).status_code for n in range(5)]
        assert statuses == [403, 403, 403, 429, 429]


async def test_clickjacking_and_what_a_page_may_load(browser: Browser) -> None:
    page = await browser.get(LOGIN_PATH)
    assert page.headers["x-frame-options"] == "DENY"
    policy = page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self'" in policy
    assert "default-src 'none'" in policy


@pytest.mark.parametrize(
    "other",
    [
        'a={"b": 1}',
        "a[b]=1",
        "a=b c",
        "novalue",
        'a="b',
        "path=/",
        "a@b=1",
        "=a",
        "a=\xe9",
        "expires=never",
        "",
    ],
)
async def test_cookies_of_other_applications(server: Homeserver, browser: Browser, other: str) -> None:
    """What else is served at this host has whatever cookies it likes; users are signed in all the same."""
    await browser.sign_in("alice", THEN)
    mine = f"palpo_session={browser.http.cookies['palpo_session']}"
    for sent in (f"{other}; {mine}", f"{mine}; {other}"):
        page = await server.http.get(THEN, headers={"Cookie": sent.encode("latin-1")})
        assert "@alice:test.example" in page.text, sent


async def test_cookies_in_several_lines(server: Homeserver, browser: Browser) -> None:
    """As browsers send them by HTTP/2."""
    await browser.sign_in("alice", THEN)
    lines = [("Cookie", f"palpo_session={browser.http.cookies['palpo_session']}"), ("Cookie", "a=b")]
    for sent in (lines, lines[::-1]):
        page = await server.http.get(THEN, headers=sent)
        assert "@alice:test.example" in page.text, sent


async def test_a_cookie_that_takes_long_to_read(server: Homeserver) -> None:
    """Python's own reader takes the square of this one's length, and half a minute."""
    cookie = 'a="' + '\\"' * (MAX_HEAD_BYTES // 2 - 64) + '"'
    before = time.process_time()
    page = await server.http.get(LOGIN_PATH, headers={"Cookie": cookie})
    assert page.status_code == 200
    assert time.process_time() - before < 2


async def test_cookies_are_kept_from_scripts_and_other_sites(tmp_path: Path) -> None:
    async with homeserver(tmp_path, public_url="https://test.example") as server:
        await server.register("alice")
        browser = Browser(server, "https://test.example")
        page = await browser.get(LOGIN_PATH)
        (visit,) = page.headers.get_list("set-cookie")
        fields = {**FormOf(page.text).forms[0][1], "user": "alice", "password": PASSWORD}
        answer = await browser.http.post(LOGIN_PATH, data=fields)
        session, gone = answer.headers.get_list("set-cookie")
        for line in (visit, session, gone):
            assert line.startswith("__Host-palpo_")
            assert {"Path=/", "HttpOnly", "SameSite=Lax", "Secure"} <= set(line.split("; "))
            assert "Domain" not in line
        assert "Max-Age=0" in gone


async def test_signing_out(server: Homeserver, browser: Browser) -> None:
    page = await browser.sign_in("alice", THEN)
    token = browser.http.cookies["palpo_session"]
    await browser.post(LOGOUT_PATH, {"csrf": FormOf(page.text).forms[0][1]["csrf"]})
    assert "palpo_session" not in browser.http.cookies
    assert await server.services.accounts.browser_sessions.find(token) is None


@pytest.mark.parametrize("what", ["logout", "password", "lock", "deactivate", "time"])
async def test_what_ends_a_session(server: Homeserver, browser: Browser, what: str) -> None:
    alice = await server.login("alice")
    await browser.sign_in("alice", THEN)
    accounts = server.services.accounts
    if what == "logout":
        await alice.post("/logout/all")
    elif what == "password":
        await accounts.accounts.set_password(alice.user_id, "another password", log_out=True)
    elif what == "lock":
        await accounts.accounts.set_flags(alice.user_id, locked=True)
    elif what == "deactivate":
        await accounts.accounts.deactivate(alice.user_id, erase=False)
    else:
        server.clock.advance(accounts.browser_sessions.lifetime_s * 1000)
    assert not await is_signed_in(server, browser)
    await accounts.accounts.set_flags(alice.user_id, locked=False)
    assert not await is_signed_in(server, browser)


async def test_who_is_locked_or_a_guest_does_not_get_in(server: Homeserver, browser: Browser) -> None:
    await server.services.accounts.accounts.set_flags("@alice:test.example", locked=True)
    page = await browser.sign_in("alice")
    assert page.status_code == 401
    assert not await is_signed_in(server, browser)


async def test_a_user_has_so_many_browsers_and_no_more(server: Homeserver) -> None:
    sessions = server.services.accounts.browser_sessions
    tokens = []
    for _ in range(MAX_SESSIONS + 2):
        tokens.append(await sessions.begin("@alice:test.example", address="", user_agent=None))
        server.clock.advance(1000)
    assert await sessions.find(tokens[0]) is None
    assert await sessions.find(tokens[1]) is None
    assert len(await sessions.list("@alice:test.example")) == MAX_SESSIONS
    await sessions.end_all("@alice:test.example")
    assert await sessions.list("@alice:test.example") == []


async def test_template_injection_what_was_typed_is_text(browser: Browser) -> None:
    hostile = "<script>alert(1)</script>\"'{{ 7919 * 7907 }}{x}"
    page = await browser.sign_in(hostile, password="x")
    assert "<script>alert" not in page.text
    assert "62615533" not in page.text
    assert FormOf(page.text).forms[0][1]["user"] == hostile


@pytest.mark.parametrize(
    ("accepts", "query", "shown"),
    [
        ("de-CH, en;q=0.5", {}, "Passwort"),
        ("fr", {}, "Mot de passe"),
        ("nl", {}, "Password"),
        ("de", {"ui_locales": "xx fr-CA en"}, "Mot de passe"),
        ("de", {"next": "/_palpo/oauth2/authorize?ui_locales=fr&x=1"}, "Mot de passe"),
        ("de", {"next": "http://[?ui_locales=fr"}, "Mot de passe"),
        ("de", {"next": "?ui_locales=fr" + "&a" * 200}, "Passwort"),
        ("de", {"next": "http://[ui_locales"}, "Passwort"),
    ],
)
async def test_the_users_language(browser: Browser, accepts: str, query: dict[str, str], shown: str) -> None:
    page = await browser.get(LOGIN_PATH, params=query, headers={"Accept-Language": accepts})
    assert shown in page.text


async def test_errors_are_pages_for_browsers(browser: Browser) -> None:
    page = await browser.post(LOGIN_PATH, {"x": "y"}, headers={"Accept-Language": "de"})
    assert page.status_code == 403
    assert page.headers["content-type"].startswith("text/html")
    assert "Das hat nicht geklappt" in page.text
    assert isinstance(page, httpx.Response)
