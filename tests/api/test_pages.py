"""Pages for browsers: nobody else's site shows them in a frame, and they load nothing but what is theirs."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

import msgspec
import pytest
from httpx import Response

from palpo.api import pages
from palpo.wire.client.threepids import SUBMIT_PATH
from tests.support.homeserver import Homeserver, homeserver

ROOT = Path(__file__).parents[2]
UIA = "/_matrix/client/v3/auth"
TERMS = {"policy": "privacy", "version": "1", "name": "Privacy", "url": "https://test.example/privacy"}
LOGIN = "/_matrix/static/client/login/"
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
PATHS = [
    "/",
    LOGIN,
    f"{UIA}/m.login.dummy/fallback/web?session=x",
    f"{UIA}/m.login.registration_token/fallback/web?session=x",
    f"{UIA}/m.login.terms/fallback/web?session=x",
    f"{UIA}/m.login.recaptcha/fallback/web?session=x",
    f"{SUBMIT_PATH}?sid=1&token=x",
]
HOSTILE = "<script>alert(1)</script>\"'&{{ 7919 * 7907 }}"
NONCE = re.compile(r"'nonce-([^']+)'")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Homeserver]:
    """A server with every page that there is."""
    captcha = {"public_key": "key", "private_key": "secret"}
    async with homeserver(tmp_path, registration={"captcha": captcha, "terms": [TERMS]}) as running:
        yield running


class Elements(HTMLParser):
    """The elements of a page, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.all: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.all.append((tag, dict(attrs)))

    def of(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.all if tag in tags]


def elements(answer: Response) -> Elements:
    return Elements(answer.text)


def policy(answer: Response) -> dict[str, str]:
    parts = answer.headers["content-security-policy"].split("; ")
    return {name: value for name, _, value in (part.partition(" ") for part in parts)}


def check_safe(answer: Response) -> None:
    """The headers that every page has."""
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; base-uri 'none'; ")
    assert policy(answer)["frame-ancestors"] == "'none'"
    assert "unsafe-inline" not in policy(answer)["script-src"]
    assert len(answer.headers.get_list("access-control-allow-origin")) == 1


async def test_no_page_may_be_framed(server: Homeserver) -> None:
    for path in PATHS:
        answer = await server.http.get(path, headers=BROWSER)
        assert answer.status_code == 200, path
        check_safe(answer)
    check_safe(await server.http.post(PATHS[2], content=b"session=x"))
    check_safe(await server.http.post(PATHS[-1]))


async def test_what_is_in_a_page_has_its_nonce(server: Homeserver) -> None:
    for path in PATHS:
        first, second = [await server.http.get(path, headers=BROWSER) for _ in range(2)]
        (nonce,) = set(NONCE.findall(first.headers["content-security-policy"]))
        assert nonce not in second.text
        for attributes in elements(first).of("script", "style"):
            assert attributes["nonce"] == nonce
        assert "style" not in {name for _, attributes in elements(first).all for name in attributes}
        assert not [name for _, attributes in elements(first).all for name in attributes if name[:2] == "on"]


async def test_what_the_captcha_loads_is_permitted(server: Homeserver) -> None:
    answer = await server.http.get(f"{UIA}/m.login.recaptcha/fallback/web?session=x")
    for directive in ("script-src", "frame-src"):
        assert "https://www.google.com" in policy(answer)[directive]
        assert "https://www.gstatic.com" in policy(answer)[directive]
    others = await server.http.get(f"{UIA}/m.login.dummy/fallback/web?session=x")
    assert "google" not in others.headers["content-security-policy"]


async def test_pages_can_be_used_by_everybody(server: Homeserver) -> None:
    for path in PATHS:
        page = elements(await server.http.get(path, headers=BROWSER))
        assert page.of("html") == [{"lang": "en"}]
        assert page.of("meta")[1]["content"] == "width=device-width, initial-scale=1"
        assert len(page.of("title")) == len(page.of("h1")) == len(page.of("main")) == 1
        labels = {attributes["for"] for attributes in page.of("label")}
        assert {attributes["id"] for attributes in page.of("input")} == labels
        assert not [attributes for _, attributes in page.all if "tabindex" in attributes]


async def test_landing_page(tmp_path: Path) -> None:
    known = {"admin_email": "admin@test.example", "support_page": "https://test.example/help"}
    options = {"public_url": "https://matrix.test.example", "well_known": known}
    async with homeserver(tmp_path, **options, registration={"open": False}) as server:
        page = (await server.http.get("/", headers=BROWSER)).text
    assert "test.example is a Matrix homeserver" in page
    assert "<code>https://matrix.test.example</code>" in page
    assert "ask those who run this server" in page
    assert 'href="mailto:admin@test.example"' in page
    assert 'href="https://test.example/help"' in page


async def test_programs_get_json(server: Homeserver) -> None:
    for path in ("/", "/nothing", "/_palpo/nothing", "/_matrix/nothing"):
        for accept in ("*/*", "application/json", "", "application/json, text/html;q=0.9"):
            answer = await server.http.get(path, headers={"Accept": accept})
            assert answer.status_code == 404
            assert answer.headers["content-type"] == "application/json"
            assert answer.json() == {"errcode": "M_UNRECOGNIZED", "error": "Unrecognized request"}
            assert answer.headers.get_list("access-control-allow-origin") == ["*"]


async def test_browsers_get_a_page_for_what_is_nowhere(server: Homeserver) -> None:
    for path in ("/nothing", f"{UIA}/m.login.password/fallback/web?session=x"):
        answer = await server.http.get(path, headers=BROWSER)
        assert answer.status_code == 404
        check_safe(answer)
        assert 'href="/"' in answer.text
    # Below /_matrix/ nobody looks for pages: what the spec says is for browsers too.
    answer = await server.http.get("/_matrix/nothing", headers=BROWSER)
    assert answer.json()["errcode"] == "M_UNRECOGNIZED"


async def test_pages_go_through_the_dispatcher(tmp_path: Path) -> None:
    limits = {"enabled": True, "default": {"per_second": 0.01, "burst": 2}}
    async with homeserver(tmp_path, rate_limits=limits) as server:
        answers = [await server.http.get("/", headers=BROWSER) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert "x-request-id" in answers[0].headers
        large = await server.http.post(f"{UIA}/m.login.dummy/fallback/web?session=x", content=b"x" * 4097)
        assert (large.status_code, large.json()["errcode"]) == (413, "M_TOO_LARGE")


@pytest.mark.parametrize("text", [HOSTILE, "</style></title>" + HOSTILE])
async def test_hostile_settings(tmp_path: Path, text: str) -> None:
    """No configuration file may have such a server name: this is the second wall."""
    registration = {"terms": [{**TERMS, "name": text}]}
    known = {"admin_email": text, "support_page": text}
    async with homeserver(tmp_path, registration=registration, well_known=known) as server:
        msgspec.structs.force_setattr(server.services.server.config, "server_name", text)
        for path in ("/", LOGIN, f"{UIA}/m.login.terms/fallback/web?session=x", "/nothing"):
            answer = await server.http.get(path, headers=BROWSER)
            assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer.text
            check_escaped(answer)


@pytest.mark.parametrize("path", [*PATHS, "/", f"{UIA}/<script>alert(1)<%2Fscript>/fallback/web"])
async def test_hostile_requests(server: Homeserver, path: str) -> None:
    params = {"session": HOSTILE, "sid": HOSTILE, "token": HOSTILE, "device_id": HOSTILE}
    headers = {**BROWSER, "Host": HOSTILE, "Referer": HOSTILE, "X-Forwarded-Host": HOSTILE}
    for method in ("GET", "POST", "HEAD"):
        url = path.partition("?")[0]
        answer = await server.http.request(method, url, params=params, headers=headers)
        assert answer.status_code < 500
        check_escaped(answer)


def check_escaped(answer: Response) -> None:
    assert "<script>alert" not in answer.text
    assert str(7919 * 7907) not in answer.text
    for value in answer.headers.values():
        assert "script>" not in value


async def test_a_page_has_no_body_for_head(server: Homeserver) -> None:
    get, head = [await server.http.request(method, LOGIN) for method in ("GET", "HEAD")]
    assert head.content == b""
    assert head.headers["content-length"] == get.headers["content-length"]


def test_a_wheel_has_the_templates(tmp_path: Path) -> None:
    if find_spec("hatchling") is None and os.environ.get("PALPO_REQUIRE_SERVICES") != "1":
        pytest.skip("hatchling is missing: it is one of the dev dependencies")
    from hatchling.builders.wheel import WheelBuilder

    (path,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    templates = Path(pages.__file__).parent / "templates"
    with ZipFile(path) as wheel:
        held = {name for name in wheel.namelist() if name.startswith("palpo/api/pages/templates/")}
    assert held == {f"palpo/api/pages/templates/{file.name}" for file in templates.iterdir()}
    assert held


@pytest.mark.parametrize("path", ["/_palpo/account/login", "/_palpo/account/sessions", "/"])
async def test_who_asks_too_much_is_told_on_a_page(tmp_path: Path, path: str) -> None:
    none_left = {"per_second": 0.001, "burst": 1}
    limits = {"enabled": True, "interactive": none_left, "default": none_left}
    async with homeserver(tmp_path, public_url="http://test.example", rate_limits=limits) as server:
        german = {"Accept": "text/html", "Accept-Language": "de"}
        await server.http.get(path, headers=german)
        page = await server.http.get(path, headers=german)
        assert page.status_code == 429
        assert page.headers["content-type"].startswith("text/html")
        assert "Zu viele Anfragen" in page.text
        assert f"in {page.headers['retry-after']} Sekunden" in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_who_wants_no_page_is_told_as_ever(tmp_path: Path) -> None:
    limits = {"enabled": True, "default": {"per_second": 0.001, "burst": 1}}
    async with homeserver(tmp_path, rate_limits=limits) as server:
        for _ in range(2):
            answer = await server.http.get("/", headers={"Accept": "application/json"})
        assert answer.json()["errcode"] == "M_LIMIT_EXCEEDED"
