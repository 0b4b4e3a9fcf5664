"""Pages for browsers: nobody else's site shows them in a frame, and they load nothing but what is theirs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from palpo.wire.client.threepids import SUBMIT_PATH
from tests.support.homeserver import Homeserver, homeserver

UIA = "/_matrix/client/v3/auth"
TERMS = {"policy": "privacy", "version": "1", "name": "Privacy", "url": "https://test.example/privacy"}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Homeserver]:
    """A server with every page that there is."""
    captcha = {"public_key": "key", "private_key": "secret"}
    async with homeserver(tmp_path, registration={"captcha": captcha, "terms": [TERMS]}) as running:
        yield running


async def test_no_page_may_be_framed(server: Homeserver) -> None:
    paths = [
        "/_matrix/static/client/login/",
        f"{UIA}/m.login.dummy/fallback/web?session=x",
        f"{UIA}/m.login.registration_token/fallback/web?session=x",
        f"{UIA}/m.login.terms/fallback/web?session=x",
        f"{UIA}/m.login.recaptcha/fallback/web?session=x",
        f"{SUBMIT_PATH}?sid=1&token=x",
    ]
    for path in paths:
        answer = await server.http.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["content-type"].startswith("text/html"), path
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        policy = answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert policy.startswith("default-src 'none'")
    posted = await server.http.post(paths[1], content=b"session=x")
    assert (posted.headers["content-type"], posted.headers["x-frame-options"]) == (
        "text/html; charset=utf-8",
        "DENY",
    )


async def test_what_the_captcha_loads_is_permitted(server: Homeserver) -> None:
    answer = await server.http.get(f"{UIA}/m.login.recaptcha/fallback/web?session=x")
    policy = answer.headers["content-security-policy"]
    for directive in ("script-src", "frame-src"):
        part = next(part for part in policy.split("; ") if part.startswith(directive))
        assert "https://www.google.com" in part
        assert "https://www.gstatic.com" in part
