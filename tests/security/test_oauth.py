"""OAuth 2.0, as somebody tries it who wants to be somebody else: beside tests/api/client/test_oauth.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from palpo.services.oauth.tokens import Kind
from tests.support.browser import Browser, FormOf
from tests.support.homeserver import Homeserver, homeserver
from tests.support.oauth import (
    API,
    BASE,
    DEVICE,
    DEVICE_GRANT,
    ROOT,
    App,
    answered,
    register,
    signed_in_browser,
)

WHOAMI = "/account/whoami"
SCRIPT = """"><script>alert(1)</script>'"""


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Homeserver]:
    async with homeserver(tmp_path, public_url=BASE) as running:
        await running.register("alice")
        yield running


@pytest.fixture
async def app(server: Homeserver) -> App:
    return await register(server)


@pytest.fixture
async def browser(server: Homeserver) -> Browser:
    return await signed_in_browser(server)


URIS = (
    "https://app.example@evil.example/callback",
    "https://app.example:443/callback",
    "https://APP.example/callback",
    "https://app.example./callback",
    "https://app.example/callback#",
    "https://app.example/callback#@evil.example",
    "https://app.example/callback%2f..%2fevil",
    "https://app.example/callback/",
    "https://app.example/callback?",
    "https://app.example/callback\t",
    " https://app.example/callback",
    "https://app.example\\@evil.example/callback",
    "https://app.example%40evil.example/callback",
    "https://app.example%2eevil.example/callback",
    "https://[::ffff:127.0.0.1]/callback",
    "http://app.example/callback",
    "//app.example/callback",
    "javascript://app.example/callback",
    "example.app:/callback",
)
MODES = ("", "query.jwt", "fragment.jwt", "form_post.jwt", "jwt", "web_message", "QUERY", "query fragment")


async def test_redirect_uris_are_the_very_same(app: App, browser: Browser) -> None:
    others: list[dict[str, str | None]] = [
        {},
        {"prompt": "none"},
        {"response_type": "token"},
        {"response_mode": "form_post"},
    ]
    for uri in URIS:
        for changes in others:
            answer = await browser.http.get(app.url(redirect_uri=uri, **changes))
            assert answer.status_code == 400, uri
            assert "location" not in answer.headers
            assert "<form" not in answer.text


async def test_response_modes_that_there_are_not(app: App, browser: Browser) -> None:
    for mode in MODES:
        answer = await browser.http.get(app.url(response_mode=mode))
        assert answer.status_code == 400, mode
        assert "location" not in answer.headers


async def test_answers_say_whose_they_are(app: App, browser: Browser) -> None:
    """A client that asks several servers takes none for another: errors say ``iss`` too (RFC 9207)."""
    page = await browser.get(app.url())
    for answer in (
        await browser.submit(page, decision="allow"),
        await browser.submit(page, decision="deny"),
        await browser.http.get(app.url(prompt="none")),
        await browser.http.get(app.url(scope="openid")),
    ):
        assert answered(answer)["iss"] == f"{BASE}/"
        assert answer.headers["cache-control"] == "no-store"


async def test_template_injection_by_what_a_client_sends(app: App, browser: Browser) -> None:
    app.state = SCRIPT
    page = await browser.get(app.url(response_mode="form_post", login_hint=SCRIPT))
    answer = await browser.submit(page, decision="allow")
    for shown in page, answer:
        assert "<script>alert" not in shown.text
    assert FormOf(answer.text).forms[0][1]["state"] == SCRIPT
    stranger = Browser(browser_server(app), BASE)
    shown = await stranger.get(app.url(login_hint=f"mxid:{SCRIPT}"))
    assert "<script>alert" not in shown.text
    shown = await browser.get(f"{ROOT}/link", params={"user_code": SCRIPT})
    assert "<script>alert" not in shown.text


def browser_server(app: App) -> Homeserver:
    return app.server


async def test_tokens_are_good_for_what_they_are(server: Homeserver, app: App, browser: Browser) -> None:
    """A code is no refresh token, an access token is none, and what was made up is nothing."""
    code = await app.code(browser)
    assert (await app.refresh(code, 400))["error"] == "invalid_grant"
    tokens = await app.redeem(code)
    for wrong in tokens["access_token"], tokens["refresh_token"][:-2] + "AA", "oauth.", "oauth.AAAA", "x":
        assert (await app.refresh(wrong, 400))["error"] == "invalid_grant"
        assert (await app.redeem(wrong, 400))["error"] == "invalid_grant"
    assert (await app.redeem(tokens["refresh_token"], 400))["error"] == "invalid_grant"
    for wrong in code, tokens["refresh_token"]:
        await app.matrix(wrong).get(WHOAMI, status=401)
    await app.matrix(tokens["access_token"]).get(WHOAMI)


async def test_tokens_cannot_be_made_up(server: Homeserver, app: App, browser: Browser) -> None:
    from palpo.services.oauth.tokens import Tokens

    tokens = await app.sign_in(browser)
    other = Tokens(b"another server's secret")
    grants = server.services.oauth.grants
    own = grants._tokens.grant_id(Kind.REFRESH, tokens["refresh_token"])
    assert own is not None
    forged = other.make(Kind.REFRESH, own)
    assert (await app.refresh(forged, 400))["error"] == "invalid_grant"
    await app.post("revoke", token=forged)
    # Whoever guesses ends nothing.
    await app.matrix(tokens["access_token"]).get(WHOAMI)


async def test_another_clients_refresh_token_ends_nothing(
    server: Homeserver, app: App, browser: Browser
) -> None:
    tokens = await app.sign_in(browser)
    other = await register(server, client_name="Another")
    assert (await other.refresh(tokens["refresh_token"], 400))["error"] == "invalid_grant"
    assert (await app.refresh(tokens["refresh_token"]))["access_token"]


async def test_refreshes_at_once_leave_one_chain(app: App, browser: Browser) -> None:
    """All that come of one token at once: as soon as one is used, the others are spent."""
    tokens = await app.sign_in(browser)
    found = await asyncio.gather(*(app.refresh(tokens["refresh_token"]) for _ in range(4)))
    await app.matrix(found[-1]["access_token"]).get(WHOAMI)
    good = [item for item in found if item is not found[-1]]
    for item in good:
        if item["access_token"] != found[-1]["access_token"]:
            await app.matrix(item["access_token"]).get(WHOAMI, status=401)


async def began(app: App) -> dict[str, str]:
    scope = f"{API} {DEVICE}{app.device_id}"
    return await app.post("device_authorization", client_id=app.client_id, scope=scope)


async def test_device_codes_at_once_make_one_session(server: Homeserver, app: App, browser: Browser) -> None:
    device = await began(app)
    page = await browser.get(f"{ROOT}/link", params={"user_code": device["user_code"]})
    await browser.submit(page, decision="allow")
    fields = {"client_id": app.client_id, "grant_type": DEVICE_GRANT, "device_code": device["device_code"]}
    asked = (app.http.post(f"{ROOT}/token", data=fields) for _ in range(4))
    statuses = sorted(answer.status_code for answer in await asyncio.gather(*asked))
    assert statuses == [200, 400, 400, 400]


async def test_device_codes_are_their_clients(server: Homeserver, app: App, browser: Browser) -> None:
    device = await began(app)
    other = await register(server, client_name="Another")
    told = await other.token(400, grant_type=DEVICE_GRANT, device_code=device["device_code"])
    assert told["error"] == "invalid_grant"
    # The code that is shown opens nothing to who has seen it.
    told = await app.token(400, grant_type=DEVICE_GRANT, device_code=device["user_code"])
    assert told["error"] == "invalid_grant"


async def test_a_device_is_allowed_by_its_users_own_hand(
    server: Homeserver, app: App, browser: Browser
) -> None:
    """A link with the code in it allows nothing, nor does a form that another site sends."""
    device = await began(app)
    await browser.get(f"{ROOT}/link", params={"user_code": device["user_code"]})
    fields = {"user_code": device["user_code"], "decision": "allow"}
    assert (await browser.post(f"{ROOT}/link", fields)).status_code == 403
    told = await app.token(400, grant_type=DEVICE_GRANT, device_code=device["device_code"])
    assert told["error"] == "authorization_pending"


async def test_device_codes_are_polled_slowly(server: Homeserver, app: App) -> None:
    device = await began(app)
    fields = {"grant_type": DEVICE_GRANT, "device_code": device["device_code"]}
    assert (await app.token(400, **fields))["error"] == "authorization_pending"
    assert (await app.token(400, **fields))["error"] == "slow_down"
    server.clock.advance(5000)
    assert (await app.token(400, **fields))["error"] == "authorization_pending"


async def test_who_may_not_redirect_is_not_redirected_after_a_sign_in(server: Homeserver, app: App) -> None:
    """The way over the page for signing in does not lead around what is checked."""
    browser = Browser(server, BASE)
    evil = app.url(redirect_uri="https://evil.example/")
    answer = await browser.sign_in("alice", evil)
    assert answer.status_code == 400
    assert "location" not in answer.headers


async def test_what_a_client_is_called_hides_not_where_it_leads(server: Homeserver, browser: Browser) -> None:
    """Whoever registers as somebody else is told apart by the host, which is shown with the name."""
    evil = await register(
        server,
        client_name="Element",
        client_uri="https://evil.example/",
        redirect_uris=["https://evil.example/callback"],
    )
    page = await browser.get(evil.url())
    assert "Element" in page.text
    assert "evil.example" in page.text


@pytest.mark.parametrize("name", ["Elem\u202eent", "Ele\u0000ment", "Ele\nment", "\u2066Element"])
async def test_names_that_turn_around_what_follows(server: Homeserver, browser: Browser, name: str) -> None:
    answer = await browser.http.post(
        f"{ROOT}/register",
        json={
            "client_name": name,
            "client_uri": "https://evil.example/",
            "redirect_uris": ["https://evil.example/callback"],
            "token_endpoint_auth_method": "none",
        },
    )
    if answer.status_code == 201:
        app = App(server, answer.json()["client_id"], "https://evil.example/callback")
        page = await browser.get(app.url())
        assert name not in page.text
    else:
        assert answer.status_code == 400
