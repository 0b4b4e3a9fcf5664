"""OAuth 2.0: what a client does, and what one that means harm tries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from palpo.db.transaction import WriteTransaction
from palpo.services.oauth.clients import MAX_CLIENTS
from palpo.services.oauth.grants import CODE_MS
from palpo.storage import oauth as storage
from tests.support.browser import Browser, FormOf
from tests.support.homeserver import Homeserver, homeserver
from tests.support.oauth import (
    API,
    BASE,
    DEVICE,
    DEVICE_GRANT,
    METADATA,
    ROOT,
    App,
    answered,
    register,
    signed_in_browser,
)

WHOAMI = "/account/whoami"


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


async def test_the_metadata_says_where_everything_is(server: Homeserver, app: App) -> None:
    answer = await app.http.get("/_matrix/client/v1/auth_metadata")
    found = answer.json()
    assert "max-age" in answer.headers["cache-control"]
    assert found["issuer"] == f"{BASE}/"
    routes = {endpoint for endpoint in found if endpoint.endswith("_endpoint")}
    assert len(routes) == 6
    for name in routes:
        path = found[name].removeprefix(BASE)
        answer = await app.http.get(path)
        assert answer.status_code in (400, 401, 405), name
    for path in ("oauth-authorization-server", "openid-configuration"):
        assert (await app.http.get(f"/.well-known/{path}")).json() == found
    unstable = "/_matrix/client/unstable/org.matrix.msc2965"
    assert (await app.http.get(f"{unstable}/auth_metadata")).json() == found
    assert (await app.http.get(f"{unstable}/auth_issuer")).json() == {"issuer": f"{BASE}/"}
    well_known = (await app.http.get("/.well-known/matrix/client")).json()
    assert well_known["org.matrix.msc2965.authentication"] == {
        "issuer": f"{BASE}/",
        "account": f"{BASE}/_palpo/account/",
    }


@pytest.mark.parametrize("settings", [{}, {"public_url": BASE, "oauth": {"enabled": False}}])
async def test_where_it_is_off_nothing_is_there(tmp_path: Path, settings: dict[str, Any]) -> None:
    async with homeserver(tmp_path, **settings) as server:
        client = server.client()
        answer = await client.request("GET", "/client/v1/auth_metadata", status=404)
        assert answer["errcode"] == "M_UNRECOGNIZED"
        for path in ("register", "token", "revoke", "device_authorization", "authorize"):
            found = await server.http.post(f"{ROOT}/{path}", data={"x": "y"})
            assert found.status_code in (403, 404)
        assert (await server.http.get(f"{ROOT}/authorize")).status_code == 404


async def test_a_code_is_exchanged_for_a_session(server: Homeserver, app: App, browser: Browser) -> None:
    tokens = await app.sign_in(browser)
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 300
    assert tokens["scope"] == f"{API} {DEVICE}{app.device_id}"
    alice = app.matrix(tokens["access_token"])
    whoami = await alice.get(WHOAMI)
    assert (whoami["user_id"], whoami["device_id"]) == ("@alice:test.example", app.device_id)
    devices = (await alice.get("/devices"))["devices"]
    assert {"An App"} <= {device.get("display_name") for device in devices}


async def test_who_is_not_signed_in_is_asked_to_first(server: Homeserver, app: App) -> None:
    browser = Browser(server, BASE)
    page = await browser.get(app.url(login_hint="mxid:@alice:test.example"))
    assert FormOf(page.text).forms[0][1]["user"] == "@alice:test.example"
    page = await browser.submit(page, password="correct horse battery")
    assert "An App" in page.text
    assert "app.example" in page.text
    answer = answered(await browser.submit(page, decision="allow"))
    assert (await app.redeem(answer["code"]))["access_token"]


@pytest.mark.parametrize(("mode", "mark"), [("query", "?"), ("fragment", "#"), (None, "?")])
async def test_response_modes(app: App, browser: Browser, mode: str | None, mark: str) -> None:
    page = await browser.get(app.url(response_mode=mode))
    answer = await browser.submit(page, decision="allow")
    assert answer.headers["location"].startswith(f"{app.redirect_uri}{mark}code=")
    assert answered(answer)["iss"] == f"{BASE}/"
    assert (
        f"form-action 'self' {app.redirect_uri.removesuffix('/callback')};"
        in page.headers["content-security-policy"]
    )


async def test_response_mode_form_post(app: App, browser: Browser) -> None:
    page = await browser.get(app.url(response_mode="form_post"))
    answer = await browser.submit(page, decision="allow")
    ((action, fields),) = FormOf(answer.text).forms
    assert action == app.redirect_uri
    assert fields["state"] == app.state
    assert (await app.redeem(fields["code"]))["access_token"]


async def test_a_user_may_refuse(app: App, browser: Browser) -> None:
    page = await browser.get(app.url())
    answer = answered(await browser.submit(page, decision="deny"))
    assert answer["error"] == "access_denied"
    assert answer["state"] == app.state
    assert "code" not in answer


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"scope": API}, "invalid_scope"),
        ({"scope": None}, "invalid_scope"),
        ({"request": "x"}, "invalid_request"),
        ({"prompt": "none"}, "consent_required"),
    ],
)
async def test_what_is_wrong_is_told_to_the_client(
    app: App, browser: Browser, changes: dict[str, str | None], code: str
) -> None:
    answer = answered(await browser.http.get(app.url(**changes)))
    assert answer["error"] == code
    assert answer["state"] == app.state


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": None},
        {"code_challenge": None},
        {"code_challenge": "short"},
    ],
)
async def test_pkce_downgrade_is_refused(app: App, browser: Browser, changes: dict[str, str | None]) -> None:
    assert answered(await browser.http.get(app.url(**changes)))["error"] == "invalid_request"


@pytest.mark.parametrize("verifier", ["", "x" * 43, "short"])
async def test_pkce_a_wrong_verifier_spends_the_code(app: App, browser: Browser, verifier: str) -> None:
    code = await app.code(browser)
    status = await app.redeem(code, 400, code_verifier=verifier)
    assert status["error"] in ("invalid_grant", "invalid_request")
    if verifier:
        assert (await app.redeem(code, 400))["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": "https://app.example/callback/../evil"},
        {"redirect_uri": "https://app.example/callback?x=y"},
        {"redirect_uri": None},
        {"client_id": "unknown"},
        {"client_id": None},
        {"response_mode": "web_message"},
    ],
)
async def test_open_redirects_nobody_is_sent_where_the_client_did_not_say(
    app: App, browser: Browser, changes: dict[str, str | None]
) -> None:
    answer = await browser.http.get(app.url(**changes))
    assert answer.status_code in (400, 401)
    assert "location" not in answer.headers
    assert answer.headers["content-type"].startswith("text/html")


async def test_a_parameter_that_is_given_twice_is_refused(app: App, browser: Browser) -> None:
    answer = await browser.http.get(app.url() + "&redirect_uri=https://evil.example/")
    assert answer.status_code == 400
    assert "location" not in answer.headers


async def test_a_field_that_is_given_twice_is_refused(app: App, browser: Browser) -> None:
    """What one who looks on reads as one thing must not be another here (RFC 6749, 3.2)."""
    code = await app.code(browser)
    fields = {
        "grant_type": "authorization_code",
        "client_id": app.client_id,
        "code": [code, "another"],
        "redirect_uri": app.redirect_uri,
        "code_verifier": app.verifier,
    }
    for path in ("token", "revoke", "device_authorization"):
        answer = await app.http.post(f"{ROOT}/{path}", data={**fields, "token": ["x", "y"]})
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert (await app.redeem(code))["access_token"]


async def test_code_reuse_ends_what_came_of_the_code(app: App, browser: Browser) -> None:
    code = await app.code(browser)
    tokens = await app.redeem(code)
    alice = app.matrix(tokens["access_token"])
    await alice.get(WHOAMI)
    assert (await app.redeem(code, 400))["error"] == "invalid_grant"
    await alice.get(WHOAMI, status=401)
    assert (await app.refresh(tokens["refresh_token"], 400))["error"] == "invalid_grant"


async def test_code_reuse_at_the_same_time_makes_one_session(app: App, browser: Browser) -> None:
    code = await app.code(browser)
    fields = {
        "grant_type": "authorization_code",
        "client_id": app.client_id,
        "code": code,
        "redirect_uri": app.redirect_uri,
        "code_verifier": app.verifier,
    }
    answers = await asyncio.gather(*(app.http.post(f"{ROOT}/token", data=fields) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400]


async def test_a_code_is_good_for_a_minute_and_for_its_client(
    server: Homeserver, app: App, browser: Browser
) -> None:
    code = await app.code(browser)
    server.clock.advance(CODE_MS)
    assert (await app.redeem(code, 400))["error"] == "invalid_grant"
    other = await register(server, client_name="Another App")
    assert other.client_id != app.client_id
    stolen = await app.code(browser)
    assert (await other.redeem(stolen, 400, code_verifier=app.verifier))["error"] == "invalid_grant"
    elsewhere = await app.code(browser)
    answer = await app.redeem(elsewhere, 400, redirect_uri="https://app.example/")
    assert answer["error"] == "invalid_grant"


async def test_a_refresh_token_is_replaced(server: Homeserver, app: App, browser: Browser) -> None:
    first = await app.sign_in(browser)
    server.clock.advance(300_000)
    refused = await app.matrix(first["access_token"]).get(WHOAMI, status=401)
    assert refused["soft_logout"] is True
    second = await app.refresh(first["refresh_token"])
    assert second["refresh_token"] != first["refresh_token"]
    assert second["scope"] == first["scope"]
    await app.matrix(second["access_token"]).get(WHOAMI)
    assert (await app.refresh(second["refresh_token"]))["access_token"]


async def test_a_refresh_whose_answer_was_lost_is_repeated(app: App, browser: Browser) -> None:
    first = await app.sign_in(browser)
    await app.refresh(first["refresh_token"])
    again = await app.refresh(first["refresh_token"])
    await app.matrix(again["access_token"]).get(WHOAMI)


async def test_refresh_reuse_ends_the_grant(app: App, browser: Browser) -> None:
    first = await app.sign_in(browser)
    second = await app.refresh(first["refresh_token"])
    alice = app.matrix(second["access_token"])
    await alice.get(WHOAMI)
    assert (await app.refresh(first["refresh_token"], 400))["error"] == "invalid_grant"
    await alice.get(WHOAMI, status=401)
    assert (await app.refresh(second["refresh_token"], 400))["error"] == "invalid_grant"


async def test_refresh_tokens_are_their_clients_and_no_others(
    server: Homeserver, app: App, browser: Browser
) -> None:
    tokens = await app.sign_in(browser)
    other = await register(server, client_name="Another App")
    assert (await other.refresh(tokens["refresh_token"], 400))["error"] == "invalid_grant"
    for made_up in ("x", "oauth.x", tokens["refresh_token"][:-4] + "AAAA", "oauth." + "A" * 300):
        assert (await app.refresh(made_up, 400))["error"] == "invalid_grant"
    # The legacy endpoint would not find it when one is shown twice.
    body = {"refresh_token": tokens["refresh_token"]}
    await server.client().post("/refresh", body, status=401)
    assert (await app.refresh(tokens["refresh_token"]))["access_token"]


async def test_logging_out_ends_the_grant(app: App, browser: Browser) -> None:
    tokens = await app.sign_in(browser)
    await app.matrix(tokens["access_token"]).post("/logout")
    assert (await app.refresh(tokens["refresh_token"], 400))["error"] == "invalid_grant"


async def test_deleting_the_device_ends_the_grant(server: Homeserver, app: App, browser: Browser) -> None:
    tokens = await app.sign_in(browser)
    await server.services.accounts.devices.remove("@alice:test.example", [app.device_id])
    assert (await app.refresh(tokens["refresh_token"], 400))["error"] == "invalid_grant"
    await app.matrix(tokens["access_token"]).get(WHOAMI, status=401)


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
async def test_revoking_a_token_ends_its_session(
    server: Homeserver, app: App, browser: Browser, kind: str
) -> None:
    tokens = await app.sign_in(browser)
    await app.post("revoke", token=tokens[kind], token_type_hint=kind, client_id="another")
    await app.matrix(tokens["access_token"]).get(WHOAMI, status=401)
    assert (await app.refresh(tokens["refresh_token"], 400))["error"] == "invalid_grant"
    devices = await server.services.accounts.devices.list("@alice:test.example")
    assert app.device_id not in {device.device_id for device in devices}
    await app.post("revoke", token=tokens[kind])
    await app.post("revoke", token="unknown")
    assert (await app.post("revoke", 400, client_id="x"))["error"] == "invalid_request"


async def test_a_login_takes_a_device_from_its_grant(server: Homeserver, app: App, browser: Browser) -> None:
    tokens = await app.sign_in(browser)
    identifier = {"type": "m.id.user", "user": "alice"}
    body = {"type": "m.login.password", "identifier": identifier, "password": "correct horse battery"}
    await server.client().post("/login", {**body, "device_id": app.device_id})
    assert await server.services.oauth.grants.of_device("@alice:test.example", app.device_id) is None
    assert (await app.refresh(tokens["refresh_token"], 400))["error"] == "invalid_grant"


@pytest.mark.parametrize("flag", ["locked", "gone"])
async def test_who_is_locked_or_gone_gets_no_tokens(
    server: Homeserver, app: App, browser: Browser, flag: str
) -> None:
    code, tokens = await app.code(browser), await app.sign_in(browser)
    accounts = server.services.accounts.accounts
    if flag == "locked":
        await accounts.set_flags("@alice:test.example", locked=True)
        refused = await app.refresh(tokens["refresh_token"], 401)
        # No client gives its session up for that.
        assert refused["errcode"] == "M_USER_LOCKED"
        assert "error_description" not in refused
    else:
        await accounts.deactivate("@alice:test.example", erase=False)
        assert (await app.refresh(tokens["refresh_token"], 400))["error"] == "invalid_grant"
    assert (await app.redeem(code, 400))["error"] == "invalid_grant"


async def test_introspection_is_for_administrators(server: Homeserver, app: App, browser: Browser) -> None:
    tokens = await app.sign_in(browser)
    alice = app.matrix(tokens["access_token"])
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    form = {"token": tokens["access_token"]}
    assert (await app.http.post(f"{ROOT}/introspect", data=form)).status_code == 401
    assert (await app.http.post(f"{ROOT}/introspect", data=form, headers=headers)).status_code == 403
    await server.services.accounts.accounts.set_flags("@alice:test.example", is_admin=True)
    found = (await app.http.post(f"{ROOT}/introspect", data=form, headers=headers)).json()
    assert found["active"] is True
    assert (found["username"], found["client_id"]) == ("@alice:test.example", app.client_id)
    assert found["device_id"] == app.device_id
    assert found["scope"] == tokens["scope"]
    unknown = await app.http.post(f"{ROOT}/introspect", data={"token": "x"}, headers=headers)
    assert unknown.json() == {"active": False}
    await alice.get(WHOAMI)


async def test_csrf_nobody_else_allows_a_client(server: Homeserver, app: App, browser: Browser) -> None:
    answer = await browser.post(app.url(), {"decision": "allow"})
    assert answer.status_code == 403
    mallory = await server.register("mallory")
    assert mallory.user_id
    theirs = await signed_in_browser(server, "mallory")
    page = await theirs.get(app.url())
    csrf = FormOf(page.text).forms[0][1]["csrf"]
    assert (await browser.post(app.url(), {"decision": "allow", "csrf": csrf})).status_code == 403


async def test_clickjacking_the_page_is_shown_in_no_frame(app: App, browser: Browser) -> None:
    page = await browser.get(app.url())
    assert page.headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert "img-src" not in page.headers["content-security-policy"]


async def test_template_injection_by_a_clients_name(server: Homeserver, browser: Browser) -> None:
    hostile = "<script>alert(1)</script>\"'{{ 7919 * 7907 }}{user}"
    app = await register(server, client_name=hostile)
    page = await browser.get(app.url())
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "62615533" not in page.text


async def test_registration_says_what_was_kept(server: Homeserver) -> None:
    http = httpx.AsyncClient(transport=httpx.ASGITransport(app=server.app), base_url=BASE)
    said = {**METADATA, "grant_types": [*METADATA["grant_types"], "password"], "unknown": True}
    first = await http.post(f"{ROOT}/register", json=said)
    assert first.status_code == 201
    found = first.json()
    assert {name: found[name] for name in METADATA} == METADATA
    assert found["application_type"] == "web"
    assert "unknown" not in found
    assert "client_secret" not in found
    second = await http.post(f"{ROOT}/register", json=METADATA)
    assert second.json()["client_id"] == found["client_id"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b"x" * 70_000])
async def test_registration_of_nonsense(server: Homeserver, body: bytes) -> None:
    answer = await server.http.post(f"{ROOT}/register", content=body)
    assert answer.status_code in (400, 413)


async def test_registration_abuse_is_bounded(
    server: Homeserver, app: App, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MAX_CLIENTS <= 20_000
    monkeypatch.setattr("palpo.services.oauth.clients.MAX_CLIENTS", 3)
    monkeypatch.setattr("palpo.services.oauth.clients.COUNTED_EACH", 1)
    await app.sign_in(browser)
    apps = []
    for number in range(6):
        server.clock.advance(1000)
        apps.append(await register(server, client_name=f"App {number}"))
    found = [
        await server.services.server.db.read(lambda tx, a=a: storage.client(tx, a.client_id)) for a in apps
    ]
    assert [item is not None for item in found] == [False, False, False, True, True, True]
    # A client that has a session stays.
    assert (await server.services.oauth.clients.find(app.client_id)).client_id == app.client_id


async def test_registration_abuse_is_throttled(tmp_path: Path) -> None:
    limits = {"enabled": True, "login": {"per_second": 0.1, "burst": 3}}
    async with homeserver(tmp_path, public_url=BASE, rate_limits=limits) as server:
        found = [(await server.http.post(f"{ROOT}/register", json=METADATA)).status_code for _ in range(5)]
        assert found == [201, 201, 201, 429, 429]


async def test_unused_clients_are_forgotten(server: Homeserver, app: App, browser: Browser) -> None:
    idle = await register(server, client_name="Idle")
    waiting = await register(server, client_name="Waiting")
    await app.sign_in(browser)
    await waiting.post("device_authorization", client_id=waiting.client_id, scope=f"{API} {DEVICE}X")
    now = server.clock.now_ms()
    db = server.services.server.db
    assert await db.write(lambda tx: storage.forget_clients(tx, before_ts=now + 1, limit=10)) == 1
    assert await db.read(lambda tx: storage.client(tx, idle.client_id)) is None
    for kept in (app, waiting):
        assert await db.read(lambda tx, kept=kept: storage.client(tx, kept.client_id)) is not None


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": "authorization_code"}, 400, "invalid_request"),
        ({"grant_type": "authorization_code", "client_id": "x"}, 401, "invalid_client"),
        ({"grant_type": "authorization_code", "code": "x"}, 400, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, 400, "invalid_grant"),
        ({"grant_type": DEVICE_GRANT, "device_code": "x"}, 400, "invalid_grant"),
    ],
)
async def test_errors_of_the_token_endpoint(
    server: Homeserver, app: App, fields: dict[str, str], status: int, code: str
) -> None:
    if fields.get("code") == "x" or "refresh_token" in fields or "device_code" in fields:
        fields = {**fields, "client_id": app.client_id}
    answer = await server.http.post(f"{ROOT}/token", data=fields or {"x": "y"})
    assert answer.status_code == status
    assert answer.json()["error"] == code
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_the_token_endpoint_takes_forms(server: Homeserver, app: App) -> None:
    answer = await server.http.post(f"{ROOT}/token", json={"grant_type": "authorization_code"})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    repeated = "grant_type=refresh_token&grant_type=authorization_code"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await server.http.post(f"{ROOT}/token", content=repeated, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_a_grant_type_that_was_not_registered(server: Homeserver, browser: Browser) -> None:
    app = await register(server, grant_types=["authorization_code"])
    tokens = await app.redeem(await app.code(browser))
    assert (await app.refresh(tokens["refresh_token"], 400))["error"] == "unauthorized_client"
    answer = await app.post("device_authorization", 400, client_id=app.client_id, scope=f"{API} {DEVICE}X")
    assert answer["error"] == "unauthorized_client"


async def device_codes(app: App) -> dict[str, Any]:
    return await app.post(
        "device_authorization", client_id=app.client_id, scope=f"{API} {DEVICE}{app.device_id}"
    )


async def test_the_device_grant(server: Homeserver, app: App, browser: Browser) -> None:
    codes = await device_codes(app)
    poll = {"grant_type": DEVICE_GRANT, "device_code": codes["device_code"]}
    assert (await app.token(400, **poll))["error"] == "authorization_pending"
    assert (await app.token(400, **poll))["error"] == "slow_down"
    page = await browser.get(codes["verification_uri"].removeprefix(BASE))
    page = await browser.http.get(
        page.url, params={"user_code": codes["user_code"].lower().replace("-", " ")}
    )
    assert codes["user_code"] in page.text
    page = await browser.submit(page, decision="allow")
    assert page.status_code == 200
    server.clock.advance(5000)
    tokens = await app.token(**poll)
    assert (await app.matrix(tokens["access_token"]).get(WHOAMI))["device_id"] == app.device_id
    assert (await app.refresh(tokens["refresh_token"]))["access_token"]
    assert (await app.token(400, **poll))["error"] == "invalid_grant"
    again = await browser.http.get(codes["verification_uri_complete"].removeprefix(BASE))
    assert again.status_code == 404


async def test_the_device_grant_says_whose_place_it_takes(app: App, browser: Browser) -> None:
    said = "takes the place of a session"
    codes = await device_codes(app)
    page = await browser.get(codes["verification_uri_complete"].removeprefix(BASE))
    assert codes["user_code"] in page.text
    assert said not in page.text
    await app.sign_in(browser)
    page = await browser.get(codes["verification_uri_complete"].removeprefix(BASE))
    assert said in page.text


async def test_the_device_grant_refused_and_expired(server: Homeserver, app: App, browser: Browser) -> None:
    codes = await device_codes(app)
    page = await browser.get(codes["verification_uri_complete"].removeprefix(BASE))
    await browser.submit(page, decision="deny")
    poll = {"grant_type": DEVICE_GRANT, "device_code": codes["device_code"]}
    assert (await app.token(400, **poll))["error"] == "access_denied"
    codes = await device_codes(app)
    page = await browser.get(codes["verification_uri_complete"].removeprefix(BASE))
    server.clock.advance(codes["expires_in"] * 1000)
    assert (await browser.submit(page, decision="allow")).status_code == 404
    poll = {"grant_type": DEVICE_GRANT, "device_code": codes["device_code"]}
    assert (await app.token(400, **poll))["error"] == "expired_token"
    other = await register(server, client_name="Another App")
    assert (await other.token(400, **poll))["error"] == "invalid_grant"


async def test_throttling_of_who_guesses_at_user_codes(tmp_path: Path) -> None:
    limits = {"enabled": True, "attempt": {"per_second": 0.1, "burst": 4}}
    async with homeserver(tmp_path, public_url=BASE, rate_limits=limits) as server:
        await server.register("alice")
        browser = await signed_in_browser(server)
        found = [
            (await browser.http.get(f"{ROOT}/link", params={"user_code": "BBBB-BBBB"})).status_code
            for _ in range(6)
        ]
        assert found == [404, 404, 404, 404, 429, 429]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("DELETE", "/devices/{device}", {}),
        ("POST", "/delete_devices", {"devices": ["{device}"]}),
        ("POST", "/account/deactivate", {}),
        ("POST", "/account/password", {"new_password": "another good one"}),
        ("POST", "/login/get_token", {}),
    ],
)
async def test_what_takes_a_password_is_done_on_the_pages(
    server: Homeserver, app: App, browser: Browser, method: str, path: str, body: dict[str, Any]
) -> None:
    """Spec: "OAuth 2.0 API": user-interactive auth is not for sessions that it has granted."""
    tokens = await app.sign_in(browser)
    client = app.matrix(tokens["access_token"])
    version = "v1" if path == "/login/get_token" else "v3"
    path = f"/client/{version}{path.format(device=app.device_id)}"
    identifier = {"type": "m.id.user", "user": "alice"}
    auth = {"type": "m.login.password", "identifier": identifier, "password": "correct horse battery"}
    for said in (body, {**body, "auth": auth}):
        answer = await client.request(method, path, said, status=403)
        assert answer["errcode"] == "M_FORBIDDEN"
        assert "flows" not in answer
    await client.get(WHOAMI)


async def test_what_was_allowed_is_not_asked_again(app: App, browser: Browser) -> None:
    first = await app.sign_in(browser)
    # The same session again takes the place of the one that there is: that is asked.
    assert (await browser.get(app.url())).status_code == 200
    app.device_id = "another"
    for prompt in (None, "none"):
        answer = answered(await browser.get(app.url(prompt=prompt)))
        assert "code" in answer
    assert (await app.redeem(answer["code"]))["access_token"] != first["access_token"]
    app.device_id = "a third"
    for prompt in ("consent", "login", "select_account"):
        assert (await browser.get(app.url(prompt=prompt))).status_code == 200


async def test_another_client_and_another_user_are_asked(
    server: Homeserver, app: App, browser: Browser
) -> None:
    await app.sign_in(browser)
    other = await register(server, client_name="Another App")
    assert (await browser.get(other.url())).status_code == 200
    answer = answered(await browser.get(other.url(prompt="none")))
    assert answer["error"] == "consent_required"
    await server.register("bob")
    app.device_id = "bobs"
    assert (await (await signed_in_browser(server, "bob")).get(app.url())).status_code == 200


async def test_who_refuses_is_asked_again(app: App, browser: Browser) -> None:
    await browser.submit(await browser.get(app.url()), decision="deny")
    assert (await browser.get(app.url())).status_code == 200


@pytest.mark.parametrize("uri", ["example.app:/callback", "http://127.0.0.1/callback"])
async def test_who_could_be_any_program_asks_each_time(
    server: Homeserver, browser: Browser, uri: str
) -> None:
    app = await register(server, application_type="native", redirect_uris=[uri])
    await app.sign_in(browser)
    app.device_id = "another"
    assert (await browser.get(app.url())).status_code == 200
    assert answered(await browser.get(app.url(prompt="none")))["error"] == "consent_required"


async def test_what_was_allowed_is_taken_back(server: Homeserver, app: App, browser: Browser) -> None:
    tokens, kept = await app.sign_in(browser), await register(server, client_name="Another App")
    others = await kept.sign_in(browser)
    page = await browser.get("/_palpo/account/sessions")
    assert "Allowed by you" in page.text
    names = [fields.get("client_id") for _action, fields in FormOf(page.text).forms]
    page = await browser.submit(page, names.index(app.client_id))
    assert "not allowed any more" in page.text
    await app.matrix(tokens["access_token"]).get(WHOAMI, status=401)
    await kept.matrix(others["access_token"]).get(WHOAMI)
    assert (await browser.get(app.url())).status_code == 200


async def test_of_what_was_allowed_the_oldest_is_forgotten(server: Homeserver, browser: Browser) -> None:
    apps = [await register(server, client_name=f"App {number}") for number in range(3)]
    for app in apps:
        await app.sign_in(browser)
        server.clock.advance(1000)

    async def forget(tx: WriteTransaction) -> None:
        found = await storage.consents_of(tx, "@alice:test.example")
        await storage.put_consent(tx, found[0], most=2)

    await server.services.server.db.write(forget)
    found = await server.services.oauth.consents.list("@alice:test.example")
    assert [item.client.metadata.client_name for item in found] == ["App 2", "App 1"]


async def test_a_client_has_its_name_in_the_users_language(server: Homeserver, browser: Browser) -> None:
    names = {"client_name#de": "Eine App", "client_name#FR": "Une appli", "client_name#?": "x"}
    app = await register(server, **names)
    for language, name in (("de-AT,de", "Eine App"), ("fr", "Une appli"), ("en", "An App"), ("es", "An App")):
        page = await browser.get(app.url(), headers={"Accept-Language": language})
        assert name in page.text
    answer = await app.http.post(f"{ROOT}/register", json={**METADATA, **names})
    assert answer.json()["client_name#de"] == "Eine App"
    assert answer.json()["client_name#fr"] == "Une appli"
    assert "client_name#?" not in answer.json()
    answer = await app.http.post(f"{ROOT}/register", json={**METADATA, "client_name#de": ["x"]})
    assert answer.json()["error"] == "invalid_client_metadata"
