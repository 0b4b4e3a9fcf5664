"""What holds for each page and each form, whichever it is, and for those that nobody has thought of yet."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from palpo import admin
from palpo.api import pages
from palpo.wire.endpoint import Endpoint
from tests.support.browser import Browser
from tests.support.homeserver import Homeserver, homeserver

PAGES = [item for blueprint in (*pages.BLUEPRINTS, *admin.BLUEPRINTS) for item in blueprint.endpoints]
FORMS = [item for item in PAGES if item.method == "POST"]
NAMES = {"idp_id": "none", "server_name": "test.example", "media_id": "x", "name": "@x:test.example"}
FROM_ELSEWHERE = {"palpo.finishSaml", "palpo.logOutBySamlForm"}
"""Forms that another site sends: they have proofs of their own."""
SECRETS = {"palpo.postAuthFallback", "palpo.submitEmailToken"}
"""Forms of whoever knows the secret that a client has made up for what it began."""
QUERY = "redirectUrl=https%3A%2F%2Fclient.example&session=x&sid=x&client_secret=x&token=x"
"""What one page or another needs."""
HTTPS = "https://test.example"
KEPT_FROM_OTHERS = {
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


def url(endpoint: Endpoint[Any, Any, Any]) -> str:
    path = endpoint.paths[0]
    if endpoint.operation_id.startswith("palpo.admin") and "Room" in endpoint.operation_id:
        path = path.replace("{name}", quote("!x:test.example"))
    path = re.sub(r"\{(\w+)\}", lambda found: quote(NAMES.get(found[1], "m.login.terms")), path)
    return f"{path}?{QUERY}"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Homeserver]:
    async with homeserver(tmp_path, admins=["@admin:test.example"], public_url=HTTPS) as running:
        await running.register("admin")
        yield running


@pytest.fixture
async def browser(server: Homeserver) -> AsyncIterator[Browser]:
    opened = Browser(server, HTTPS)
    async with opened.http:
        await opened.sign_in("admin", "/_palpo/account/login?again=true")
        yield opened


async def test_clickjacking_caches_and_referrers(server: Homeserver, browser: Browser) -> None:
    """Of pages, of errors and of redirects, for who is signed in and for who is not."""
    stranger = Browser(server, HTTPS)
    async with stranger.http:
        for of in browser, stranger:
            for endpoint in PAGES:
                answer = await of.http.request(endpoint.method, url(endpoint), data={"csrf": "x"})
                assert answer.status_code < 500 or answer.status_code == 503, (endpoint, answer.text)
                kind = answer.headers.get("content-type", "")
                if kind.startswith(("application/json", "image/")):
                    continue
                for name, value in KEPT_FROM_OTHERS.items():
                    assert answer.headers.get(name) == value, (endpoint.operation_id, name)
                assert answer.headers["cache-control"] == "no-store", endpoint.operation_id
                if kind.startswith("text/html"):
                    policy = answer.headers["content-security-policy"]
                    assert "frame-ancestors 'none'" in policy
                    assert "base-uri 'none'" in policy
                    assert "unsafe" not in policy
                    assert "*" not in policy


async def test_csrf(server: Homeserver, browser: Browser) -> None:
    """No form is taken without what the page with it has given to this very browser."""
    stranger = Browser(server, HTTPS)
    async with stranger.http:
        page = await stranger.get("/_palpo/account/login")
        found = re.search(r'name="csrf" value="([^"]+)"', page.text)
        assert found is not None
        position = await server.services.server.audit_log.count()
        for endpoint in FORMS:
            if endpoint.operation_id in FROM_ELSEWHERE | SECRETS:
                continue
            for fields in {}, {"csrf": ""}, {"csrf": found[1]}, {"csrf": "x" * 64}:
                answer = await browser.http.post(url(endpoint), data={**fields, "x": "y"})
                assert answer.status_code == 403, (endpoint.operation_id, fields, answer.text)
        assert await server.services.server.audit_log.count() == position


async def test_csrf_by_other_ways_to_send_a_form(browser: Browser) -> None:
    """A form may be sent as text, or as JSON by a script that has no right to read the answer."""
    page = await browser.get("/_palpo/account/login?again=true")
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found is not None
    for kind in "text/plain", "application/json", "multipart/form-data; boundary=x":
        answer = await browser.http.post(
            "/_palpo/account/logout", content=f"csrf={found[1]}", headers={"Content-Type": kind}
        )
        assert answer.status_code == 400, kind
    for site in "cross-site", "same-site":
        answer = await browser.http.post(
            "/_palpo/account/logout", data={"csrf": found[1]}, headers={"Sec-Fetch-Site": site}
        )
        assert answer.status_code == 403, site
    assert (await browser.get("/_palpo/account/login?again=true")).text.count("@admin:test.example")


async def test_pages_are_at_their_own_paths_only(server: Homeserver, browser: Browser) -> None:
    """What the dispatcher takes for another path is no page either, however it is spelled: it would go round
    limits and checks, and fail."""
    for endpoint in PAGES:
        path, _, query = url(endpoint).partition("?")
        folder, _, rest = path[1:].partition("/")
        odd = [f"/%{ord(folder[0]):x}{folder[1:]}/{rest}", f"//{folder}/{rest}"] if folder else ["//"]
        odd += [f"{path}/"] if folder and not path.endswith("/") else []
        for spelled in odd:
            answer = await server.http.request(endpoint.method, f"http://test.example{spelled}?{query}")
            assert answer.status_code in (400, 404), (endpoint.operation_id, spelled, answer.text)
    for path in ("/_palpo/account", "/_palpo/account/"):
        answer = await browser.http.get(path)
        assert answer.status_code == 200, path


async def test_cookies_of_neighbours_are_not_taken(server: Homeserver) -> None:
    """Another host of the same domain may set cookies for it, but none with the prefix."""
    browser = Browser(server, HTTPS)
    async with browser.http:
        await browser.sign_in("admin", "/_palpo/account/login?again=true")
        token = browser.http.cookies["__Host-palpo_session"]
        other = Browser(server, HTTPS)
        other.http.cookies.set("palpo_session", token, domain="test.example")
        answer = await other.http.get("/_palpo/account/")
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/_palpo/account/login")
        await other.http.aclose()


async def test_header_injection(server: Homeserver, browser: Browser) -> None:
    """What ends up in a header has no end of a line in it."""
    evil = "/x\r\nSet-Cookie: evil=1"
    encoded = quote(evil, safe="")
    for path in (
        f"/_palpo/account/login?next={encoded}",
        f"/_palpo/account/login?again=true&next=/_palpo{encoded}",
        f"/_palpo/account/register?next={encoded}",
        f"/_matrix/client/v3/login/sso/redirect?redirectUrl=https://client.example{encoded}",
        f"/_palpo/account/upstream/none?next={encoded}",
        f"/_palpo/oauth2/authorize?state={encoded}",
        f"/_palpo/account/continue?redirectUrl=https://client.example{encoded}",
        f"/_palpo/account/?action={encoded}",
    ):
        answer = await browser.http.get(path)
        assert answer.status_code < 500, path
        assert all("evil" not in line for line in answer.headers.get_list("set-cookie"))
        assert "\n" not in str(answer.headers)
    page = await browser.get("/_palpo/account/login?again=true")
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found is not None
    for back in evil, "//evil.example", "/\\evil.example", "/../../evil":
        fields = {"csrf": found[1], "back": back}
        answer = await browser.http.post("/_palpo/admin/jobs/x/cancel", data=fields)
        assert (answer.status_code, answer.headers["location"]) == (303, "/_palpo/admin/"), back
    answer = await browser.http.post("/_palpo/account/logout", data={"csrf": found[1], "next": evil})
    assert answer.status_code == 303
    assert "evil" not in answer.headers["location"]
