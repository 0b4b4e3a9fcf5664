"""Signing on by CAS, at PyPI's django-cas-server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from palpo.core.errors import Forbidden, Unavailable
from palpo.services.sign_on.cas import read_answer
from tests.sign_on import cas_server
from tests.sign_on.support import CLIENT, REDIRECT, log_in, serving
from tests.support.homeserver import Homeserver
from tests.support.visitor import Visitor

pytestmark = pytest.mark.one_database

CALLBACK = "http://test.example/_synapse/client/cas/callback"


@pytest.fixture(scope="module")
def cas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with cas_server.running(tmp_path_factory.mktemp("cas")) as url:
        yield url


@pytest.fixture
async def server(tmp_path: Path, cas: str) -> AsyncIterator[Homeserver]:
    async with serving(tmp_path, cas=[cas_server.config(cas)]) as running:
        yield running


async def come_back(browser: Visitor, password: str = cas_server.PASSWORD) -> str:
    """The URL by which the CAS server sends a browser back, which has not gone there."""
    await browser.go(f"{REDIRECT}/cas?redirectUrl={CLIENT}", until=CALLBACK)
    if not browser.answer.is_redirect:
        await browser.submit(until=CALLBACK, username=cas_server.USER, password=password)
    return browser.location if browser.answer.is_redirect else ""


async def test_a_new_user_and_again(server: Homeserver) -> None:
    browser = Visitor(server.app)
    await browser.go(await come_back(browser))
    alice = await log_in(server, browser.location)
    assert alice.user_id == "@alice:test.example"
    profile = await alice.get("/profile/@alice:test.example")
    assert profile["displayname"] == "Alice of Wonderland"
    await browser.go(await come_back(browser))
    assert (await log_in(server, browser.location)).user_id == alice.user_id
    await browser.close()


@pytest.mark.parametrize(
    ("settings", "admitted"),
    [
        ({"require": {"group": ["admins"]}}, True),
        ({"require": {"group": ["guests"]}}, False),
        ({"protocol": 2}, True),
    ],
)
async def test_attributes(tmp_path: Path, cas: str, settings: dict[str, object], admitted: bool) -> None:
    async with serving(tmp_path, cas=[cas_server.config(cas, **settings)]) as server:
        browser = Visitor(server.app)
        answer = await browser.go(await come_back(browser))
        assert answer.status_code == (303 if admitted else 403)
        await browser.close()


async def test_tickets_are_good_once_and_for_one_browser(server: Homeserver) -> None:
    browser, thief = Visitor(server.app), Visitor(server.app)
    stolen = await come_back(browser)
    assert (await thief.go(stolen)).status_code == 400
    own = await come_back(thief)
    ticket = parse_qs(urlsplit(stolen).query)["ticket"][0]
    state = parse_qs(urlsplit(own).query)["state"][0]
    mixed = f"{CALLBACK}?{urlencode({'state': state, 'ticket': ticket})}"
    assert (await thief.go(mixed)).status_code == 403
    for wrong in "", "ST-1", "a&b", "x" * 1000:
        again = f"{CALLBACK}?{urlencode({'state': state, 'ticket': wrong})}"
        assert (await thief.go(again)).status_code == 403
    for opened in browser, thief:
        await opened.close()


ANSWER = '<cas:serviceResponse xmlns:cas="http://www.yale.edu/tp/cas">{}</cas:serviceResponse>'
SUCCESS = "<cas:authenticationSuccess><cas:user>{}</cas:user></cas:authenticationSuccess>"


def test_xxe() -> None:
    """Entities are not looked up, and a document that declares any is not read."""
    declared = '<!DOCTYPE r [<!ENTITY e SYSTEM "file:///etc/hostname">]>'
    with pytest.raises(Unavailable):
        read_answer((declared + ANSWER.format(SUCCESS.format("&e;"))).encode())
    bomb = '<!DOCTYPE r [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]>'
    with pytest.raises(Unavailable):
        read_answer((bomb + ANSWER.format(SUCCESS.format("&b;"))).encode())


@pytest.mark.parametrize("body", ["", "<a", "<a/>", "<x>" * 100_000, '{"user": "alice"}'])
def test_what_is_no_answer(body: str) -> None:
    with pytest.raises(Unavailable):
        read_answer(body.encode())


@pytest.mark.parametrize("inner", ["", SUCCESS.format(""), SUCCESS.format("<!-- alice -->")])
def test_who_is_not_named(inner: str) -> None:
    with pytest.raises(Forbidden):
        read_answer(ANSWER.format(inner).encode())


def test_a_comment_does_not_cut_a_name() -> None:
    user, _ = read_answer(ANSWER.format(SUCCESS.format("alice<!-- -->.admin")).encode())
    assert user == "alice.admin"


LOGOUT = """<samlp:LogoutRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="x" Version="2.0"
IssueInstant="2026-01-01T00:00:00Z"><saml:NameID xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">@NOT_USED@
</saml:NameID><samlp:SessionIndex>{}</samlp:SessionIndex></samlp:LogoutRequest>"""


async def test_logging_out_at_the_provider(server: Homeserver) -> None:
    """The server says that the session of a ticket is over, at the address that the ticket was for."""
    browser = Visitor(server.app)
    back = await come_back(browser)
    ticket = parse_qs(urlsplit(back).query)["ticket"][0]
    await browser.go(back)
    alice = await log_in(server, browser.location)
    await browser.go(await come_back(browser))
    other = await log_in(server, browser.location)
    path = back.partition("?")[0]
    declared = '<!DOCTYPE r [<!ENTITY e SYSTEM "file:///etc/hostname">]>'
    for body, status in (
        ("", 400),
        ("<a/>", 400),
        (declared + LOGOUT.format("&e;"), 400),
        (LOGOUT.format(""), 400),
        (LOGOUT.format("ST-guess"), 200),
        (LOGOUT.format("' OR 1=1 --"), 400),
    ):
        answer = await server.http.post(path, data={"logoutRequest": body})
        assert answer.status_code == status, body
        await alice.get("/account/whoami")
    assert (await server.http.post(path, data={"logoutRequest": LOGOUT.format(ticket)})).status_code == 200
    await alice.get("/account/whoami", status=401)
    await other.get("/account/whoami")
    await browser.close()


async def test_user_interactive_auth(server: Homeserver) -> None:
    browser = Visitor(server.app)
    await browser.go(await come_back(browser))
    alice = await log_in(server, browser.location)
    asked = await alice.post("/account/deactivate", {}, status=401)
    assert asked["flows"] == [{"stages": ["m.login.sso"]}]
    await browser.go(f"/_matrix/client/v3/auth/m.login.sso/fallback/web?session={asked['session']}")
    await browser.submit(provider="cas")
    assert "Thank you" in browser.answer.text
    await alice.post("/account/deactivate", {"auth": {"session": asked["session"]}})
    await browser.close()
