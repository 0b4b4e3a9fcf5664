"""Signing on by OpenID Connect, at a provider that others have written and certified."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import httpx
import pytest
from joserfc.jwk import RSAKey

from palpo.storage import upstream_sessions
from tests.sign_on import oidc
from tests.sign_on.oidc import CALLBACK, Provider, client
from tests.sign_on.support import CLIENT, REDIRECT, log_in, serving, token_in
from tests.support.homeserver import PASSWORD, Client, Homeserver
from tests.support.visitor import Visitor

KEY = RSAKey.generate_key(2048, {"kid": "ours"})
ASKED_AGAIN: dict[str, Any] = {
    "scopes": ["openid", "profile", "offline_access"],
    "authorization_parameters": {"prompt": "consent"},
    "refresh_minutes": 10,
}
"""A provider that is asked every ten minutes whether a session still stands."""
METHODS = ["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none"]


def clients() -> Iterator[dict[str, Any]]:
    """One for each way to prove to be it."""
    yield client(
        logout=True,
        post_logout_redirect_uris=["http://test.example/_palpo/account/login"],
        grant_types=["authorization_code", "refresh_token"],
    )
    for method in METHODS[1:]:
        made = client(method, token_endpoint_auth_method=method)
        if method == "private_key_jwt":
            made["jwks"] = {"keys": [KEY.as_dict(private=False, use="sig", alg="RS256")]}
        if method in ("private_key_jwt", "none"):
            del made["client_secret"]
        yield made


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with oidc.running(*clients()) as started:
        yield started


@pytest.fixture
async def server(tmp_path: Path, provider: Provider) -> AsyncIterator[Homeserver]:
    async with serving(tmp_path, oidc=[provider.config(backchannel_logout=True)]) as running:
        yield running


@pytest.fixture
async def browser(server: Homeserver) -> AsyncIterator[Visitor]:
    opened = Visitor(server.app)
    yield opened
    await opened.close()


async def sign_on(browser: Visitor, account: str, redirect_url: str = CLIENT) -> None:
    await browser.go(f"{REDIRECT}/work?{urlencode({'redirectUrl': redirect_url})}")
    await oidc.sign_in(browser, account)


async def test_a_new_user_signs_on(server: Homeserver, browser: Visitor) -> None:
    flows = (await server.client().get("/login"))["flows"]
    (flow,) = [flow for flow in flows if flow["type"] == "m.login.sso"]
    assert flow["identity_providers"] == [{"id": "work", "name": "Work"}]
    await sign_on(browser, "alice-1")
    assert browser.location.startswith(f"{CLIENT}?loginToken=")
    alice = await log_in(server, browser.location)
    assert alice.user_id == "@alice:test.example"
    profile = await alice.get("/profile/@alice:test.example")
    assert profile["displayname"] == "Alice of Wonderland"
    (address,) = (await alice.get("/account/3pid"))["threepids"]
    assert address["address"] == "alice@work.example"


async def test_who_signs_on_again_has_the_same_account(server: Homeserver, browser: Visitor) -> None:
    await sign_on(browser, "alice-1")
    first = await log_in(server, browser.location)
    other = Visitor(server.app)
    await sign_on(other, "alice-1")
    second = await log_in(server, other.location)
    await other.close()
    assert first.user_id == second.user_id
    assert first.device_id != second.device_id


async def test_a_login_token_works_once_and_not_for_long(server: Homeserver, browser: Visitor) -> None:
    await sign_on(browser, "alice-1")
    token = token_in(browser.location)
    body = {"type": "m.login.token", "token": token}
    await server.client().post("/login", body)
    await server.client().post("/login", body, status=403)
    body["token"] = token_in(await again(browser))
    server.clock.advance(61_000)
    await server.client().post("/login", body, status=403)


async def test_what_the_client_had_in_its_url_stays(server: Homeserver, browser: Visitor) -> None:
    await sign_on(browser, "alice-1", f"{CLIENT}?a=%20b&loginToken=old&c#/room")
    url = urlsplit(browser.location)
    assert url.query.startswith("a=%20b&c&loginToken=")
    assert "old" not in url.query
    assert url.fragment == "/room"


@pytest.mark.parametrize("method", METHODS)
async def test_each_way_to_prove_to_be_the_client(tmp_path: Path, provider: Provider, method: str) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes(KEY.as_pem(private=True))
    settings: dict[str, Any] = {"client_auth": method, "client_id": method, "client_key_id": "ours"}
    if method == METHODS[0]:
        settings["client_id"] = "palpo"
    if method in ("private_key_jwt", "none"):
        settings["client_secret"] = ""
    if method == "private_key_jwt":
        settings["client_key"] = str(key)
    async with serving(tmp_path, oidc=[provider.config(**ASKED_AGAIN)]) as server:
        browser = Visitor(server.app)
        await sign_on(browser, "alice-1")
        assert (await log_in(server, browser.location)).user_id == "@alice:test.example"
        await browser.close()


async def test_a_wrong_secret(tmp_path: Path, provider: Provider) -> None:
    async with serving(tmp_path, oidc=[provider.config(client_secret="wrong")]) as server:
        browser = Visitor(server.app)
        await sign_on(browser, "alice-1")
        assert browser.answer.status_code == 403
        await browser.close()


async def test_keys_are_rotated(server: Homeserver, browser: Visitor, provider: Provider) -> None:
    await sign_on(browser, "alice-1")
    provider.rotate()
    server.clock.advance(31_000)
    other = Visitor(server.app)
    await sign_on(other, "alice-1")
    assert "loginToken=" in other.location
    await other.close()


async def test_template_injection_through_a_display_name(server: Homeserver, browser: Visitor) -> None:
    await sign_on(browser, "bob-2")
    # "Bob Möller" as a localpart: what a localpart cannot have is written as its bytes.
    bob = await log_in(server, browser.location)
    assert bob.user_id == "@bob=20m=c3=b6ller:test.example"
    profile = await bob.get(f"/profile/{bob.user_id}")
    assert profile["displayname"] == "{{ 7 * 7 }}{% for x in y %}"


async def test_a_new_user_without_a_name_picks_one(server: Homeserver, browser: Visitor) -> None:
    await server.register("taken")
    await sign_on(browser, "nameless-3")
    assert browser.answer.status_code == 200
    for wrong, status in ("taken", 400), ("Not Possible", 400), ("12345", 400):
        await browser.submit(localpart=wrong)
        assert browser.answer.status_code == status, wrong
    await browser.submit(localpart="chosen")
    assert (await log_in(server, browser.location)).user_id == "@chosen:test.example"


async def test_a_name_that_somebody_has_is_not_taken_over(server: Homeserver, browser: Visitor) -> None:
    alice = await server.register("alice")
    await sign_on(browser, "alice-1")
    assert "Somebody else has the name alice already." in browser.answer.text
    await browser.submit(localpart="alice2")
    assert (await log_in(server, browser.location)).user_id == "@alice2:test.example"
    assert (await alice.get("/account/3pid"))["threepids"] == []


async def test_an_account_that_was_there_is_linked_where_that_is_allowed(
    tmp_path: Path, provider: Provider
) -> None:
    async with serving(tmp_path, oidc=[provider.config(allow_existing_users=True)]) as server:
        await server.register("alice")
        browser = Visitor(server.app)
        await sign_on(browser, "alice-1")
        assert (await log_in(server, browser.location)).user_id == "@alice:test.example"
        await browser.close()


async def test_who_lacks_an_attribute_is_refused(tmp_path: Path, provider: Provider) -> None:
    async with serving(tmp_path, oidc=[provider.config(require={"groups": ["staff", "admins"]})]) as server:
        for account, status in ("alice-1", 302), ("bob-2", 403), ("nameless-3", 403):
            browser = Visitor(server.app)
            await sign_on(browser, account)
            found = browser.answer.status_code
            assert found == (303 if status == 302 else status), account
            await browser.close()
        assert await server.services.accounts.accounts.find("@bob=20m=c3=b6ller:test.example") is None


async def test_nobody_new_where_no_accounts_are_made(tmp_path: Path, provider: Provider) -> None:
    async with serving(tmp_path, oidc=[provider.config(registration=False)]) as server:
        browser = Visitor(server.app)
        await sign_on(browser, "alice-1")
        assert browser.answer.status_code == 403
        await browser.close()


async def test_locked_and_deactivated_accounts(server: Homeserver, browser: Visitor) -> None:
    await sign_on(browser, "alice-1")
    alice = await log_in(server, browser.location)
    await server.services.accounts.accounts.set_flags(alice.user_id, locked=True)
    await sign_on_again(browser)
    assert browser.answer.status_code == 401
    await server.services.accounts.accounts.set_flags(alice.user_id, locked=False)
    await server.services.accounts.accounts.deactivate(alice.user_id, erase=False)
    await sign_on_again(browser)
    assert browser.answer.status_code == 403


async def sign_on_again(browser: Visitor) -> None:
    """Where the provider remembers who it is."""
    await browser.go(f"{REDIRECT}/work?redirectUrl={CLIENT}")


async def test_a_token_does_not_leave_for_an_unknown_client_unasked(
    server: Homeserver, browser: Visitor
) -> None:
    for url in ("https://elsewhere.example/", "element://connect", "https://client.example/app/../other"):
        opened = Visitor(server.app)
        await sign_on(opened, "alice-1", url)
        assert opened.answer.status_code == 200
        assert "@alice:test.example" in opened.answer.text
        assert "loginToken" not in opened.answer.text
        await opened.submit(until=url.partition(":")[0])
        assert opened.location.startswith(url)
        assert (await log_in(server, opened.location)).user_id == "@alice:test.example"
        await opened.close()


OPEN_REDIRECTS = [
    "javascript:alert(1)//",
    "JavaScript:alert(1)",
    "data:text/html,x",
    "//evil.example/",
    "/relative",
    "https://client.example\\@evil.example/app",
    "https://evil.example\\@client.example/app",
    "https://user@client.example/app",
    "https:///app",
    "https://client.example/app\r\nSet-Cookie: a=b",
    "",
    "x" * 3000,
]


@pytest.mark.parametrize("url", OPEN_REDIRECTS)
async def test_open_redirects(server: Homeserver, url: str) -> None:
    answer = await server.http.get(REDIRECT, params={"redirectUrl": url})
    assert answer.status_code == 400
    answer = await server.http.get(f"{REDIRECT}/work", params={"redirectUrl": url})
    assert answer.status_code == 400


async def test_state(server: Homeserver, browser: Visitor) -> None:
    callback = await callback_of(browser, "alice-1")
    for state in "", "x", "é", "a" * 5000:
        changed = {**query_of(callback), "state": state}
        answer = await browser.go(f"{CALLBACK}?{urlencode(changed)}")
        assert answer.status_code == 400
    await browser.go(callback)
    assert "loginToken=" in browser.location


async def test_login_csrf(server: Homeserver, browser: Visitor) -> None:
    """Who has a victim's browser finish what they began themselves gets nowhere: it lacks the cookie."""
    callback = await callback_of(browser, "alice-1")
    victim = Visitor(server.app)
    answer = await victim.go(callback)
    assert answer.status_code == 400
    # Nor with a flow that the victim's browser has begun itself.
    await victim.go(f"{REDIRECT}/work?redirectUrl={CLIENT}")
    answer = await victim.go(callback)
    assert answer.status_code == 400
    await victim.close()


async def test_a_sign_on_that_takes_too_long(server: Homeserver, browser: Visitor) -> None:
    callback = await callback_of(browser, "alice-1")
    server.clock.advance(15 * 60_000)
    assert (await browser.go(callback)).status_code == 400


async def test_nonce(server: Homeserver, browser: Visitor) -> None:
    """A code of another sign-on is of no use in this one, though the state is right."""
    stolen = await callback_of(browser, "alice-1")
    thief = Visitor(server.app)
    own = await callback_of(thief, "bob-2")
    mixed = {**query_of(own), "code": query_of(stolen)["code"]}
    assert (await thief.go(f"{CALLBACK}?{urlencode(mixed)}")).status_code == 403
    await thief.close()


async def test_nonce_without_pkce(tmp_path: Path, provider: Provider) -> None:
    async with serving(tmp_path, oidc=[provider.config(pkce=False)]) as server:
        browser, thief = Visitor(server.app), Visitor(server.app)
        stolen = await callback_of(browser, "alice-1")
        own = await callback_of(thief, "bob-2")
        mixed = {**query_of(own), "code": query_of(stolen)["code"]}
        assert (await thief.go(f"{CALLBACK}?{urlencode(mixed)}")).status_code == 403
        assert "another question" in thief.answer.text
        for opened in browser, thief:
            await opened.close()


async def test_pkce_downgrade(server: Homeserver, browser: Visitor) -> None:
    """Who takes the challenge out of the request on its way gets a code that nobody can use."""
    await browser.go(f"{REDIRECT}/work?redirectUrl={CLIENT}", until="http://127.0.0.1")
    url = urlsplit(browser.location)
    query = query_of(browser.location)
    assert query["code_challenge_method"] == "S256"
    assert len(query["code_challenge"]) == 43
    stripped = {name: value for name, value in query.items() if not name.startswith("code_challenge")}
    await browser.go(url._replace(query=urlencode(stripped)).geturl(), until=CALLBACK)
    await browser.submit(until=CALLBACK, login="alice-1", password="any")
    await browser.submit(until=CALLBACK)
    assert (await browser.go(browser.location)).status_code == 403


async def test_a_mix_up_of_providers(tmp_path: Path, provider: Provider) -> None:
    other = provider.config(id="other", client_id="client_secret_post", client_auth="client_secret_post")
    async with serving(tmp_path, oidc=[provider.config(), other]) as server:
        browser = Visitor(server.app)
        callback = await callback_of(browser, "alice-1")
        query = query_of(callback)
        assert query["iss"] == provider.issuer
        for issuer in "https://evil.example", "", None:
            changed = {name: value for name, value in query.items() if name != "iss"}
            if issuer is not None:
                changed["iss"] = issuer
            assert (await browser.go(f"{CALLBACK}?{urlencode(changed)}")).status_code == 403
        # The flow's cookie says whom it is for: the code went to no other provider's endpoint.
        await browser.go(f"{REDIRECT}/other?redirectUrl={CLIENT}", until=CALLBACK)
        await browser.submit(until=CALLBACK)
        swapped = {**query_of(browser.location), "code": query["code"]}
        assert (await browser.go(f"{CALLBACK}?{urlencode(swapped)}")).status_code == 403
        await browser.close()


async def test_who_refuses_at_the_provider(server: Homeserver, browser: Visitor) -> None:
    callback = query_of(await callback_of(browser, "alice-1"))
    query = urlencode({"state": callback["state"], "iss": callback["iss"], "error": "access_denied"})
    assert (await browser.go(f"{CALLBACK}?{query}")).status_code == 403


async def test_forms_of_other_sites_and_of_other_browsers(server: Homeserver, browser: Visitor) -> None:
    await sign_on(browser, "alice-1", "https://elsewhere.example/")
    other = Visitor(server.app)
    await sign_on(other, "bob-2", "https://elsewhere.example/")
    page = browser.answer
    await browser.submit(drop=("csrf",))
    assert browser.answer.status_code == 403
    # What one browser was asked, another cannot answer: here with its own form's csrf.
    other_form = other.answer
    other.answer = page
    await other.submit(until="https://elsewhere", csrf=form_field(other_form.text, "csrf"))
    assert other.answer.status_code == 400
    await other.close()


def form_field(page: str, name: str) -> str:
    from tests.support.visitor import Form

    return Form(page).fields[name]


async def test_user_interactive_auth(server: Homeserver, browser: Visitor) -> None:
    await sign_on(browser, "alice-1")
    alice = await log_in(server, browser.location)
    other = await log_in(server, await again(browser))
    path = f"/devices/{other.device_id}"
    challenge = await alice.delete(path, {}, status=401)
    assert challenge["flows"] == [{"stages": ["m.login.sso"]}]
    session = {"session": challenge["session"]}
    fallback = f"/_matrix/client/v3/auth/m.login.sso/fallback/web?{urlencode(session)}"
    # Whoever else signs on does not confirm it.
    bob = Visitor(server.app)
    await sign_on(bob, "bob-2")
    await bob.go(fallback)
    await bob.submit(provider="work")
    assert "Thank you" in bob.answer.text
    await bob.close()
    await alice.delete(path, {"auth": session}, status=401)
    await browser.go(fallback)
    assert "confirm that it is you" in browser.answer.text
    await browser.submit(provider="work")
    assert "Thank you" in browser.answer.text
    await alice.delete(path, {"auth": session})
    await other.get("/account/whoami", status=401)


async def test_a_link_alone_confirms_nothing(server: Homeserver, browser: Visitor) -> None:
    await sign_on(browser, "alice-1")
    alice = await log_in(server, browser.location)
    session = (await alice.post("/account/deactivate", {}, status=401))["session"]
    await browser.go(f"/_palpo/account/confirm?{urlencode({'session': session})}")
    await browser.submit(drop=("csrf",), provider="work")
    assert browser.answer.status_code == 403
    body = {"auth": {"session": session, "type": "m.login.sso"}}
    refused = await alice.post("/account/deactivate", body, status=401)
    assert refused["errcode"] == "M_FORBIDDEN"


async def test_who_has_a_password_too_may_use_either(tmp_path: Path, provider: Provider) -> None:
    async with serving(tmp_path, oidc=[provider.config(allow_existing_users=True)]) as server:
        alice = await server.register("alice")
        browser = Visitor(server.app)
        await sign_on(browser, "alice-1")
        await browser.close()
        flows = (await alice.post("/account/deactivate", {}, status=401))["flows"]
        assert flows == [{"stages": ["m.login.password"]}, {"stages": ["m.login.sso"]}]
        auth = {"type": "m.login.password", "password": PASSWORD}
        await alice.post("/account/deactivate", {"auth": auth})


async def again(browser: Visitor) -> str:
    await sign_on_again(browser)
    return browser.location


async def test_signing_in_with_the_browser(server: Homeserver, browser: Visitor) -> None:
    await browser.go("/_palpo/account/login?next=/_palpo/account/login%3Fagain%3Dtrue")
    assert "/_palpo/account/upstream/work" in browser.answer.text
    await browser.go("/_palpo/account/upstream/work?next=//evil.example", until="http://test.example/_palpo")
    await oidc_to_here(browser, "alice-1")
    assert browser.location == "/_palpo/account/"
    signed_in = await browser.go("/_palpo/account/login?again=true")
    assert "@alice:test.example" in signed_in.text


async def oidc_to_here(browser: Visitor, account: str) -> None:
    here = "http://test.example/_palpo"
    await browser.submit(until=here, login=account, password="any")
    await browser.submit(until=here)


async def test_logging_out_at_the_provider(server: Homeserver, browser: Visitor, provider: Provider) -> None:
    await sign_on(browser, "alice-1")
    alice = await log_in(server, browser.location)
    unspent = await again(browser)
    elsewhere = Visitor(server.app)
    await sign_on(elsewhere, "bob-2")
    bob = await log_in(server, elsewhere.location)
    before = len(provider.logout_tokens())
    await browser.go(f"{provider.issuer}/session/end", until=f"{provider.issuer}/nowhere")
    await browser.submit(logout="yes")
    (token,) = provider.logout_tokens()[before:]
    path = "//_synapse/client/oidc/backchannel_logout"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for wrong in "", "x", token[:-3] + "AAA":
        await server.client().request(
            "POST", path, content=urlencode({"logout_token": wrong}), headers=form, status=400
        )
    await alice.get("/account/whoami")
    await server.client().request("POST", path, content=urlencode({"logout_token": token}), headers=form)
    await alice.get("/account/whoami", status=401)
    await bob.get("/account/whoami")
    await server.client().post("/login", {"type": "m.login.token", "token": token_in(unspent)}, status=403)
    await elsewhere.close()


async def callback_of(browser: Visitor, account: str) -> str:
    """The URL by which the provider sends a browser back, which has not gone there."""
    await browser.go(f"{REDIRECT}/work?redirectUrl={CLIENT}", until=CALLBACK)
    if not browser.answer.is_redirect:
        await browser.submit(until=CALLBACK, login=account, password="any")
        await browser.submit(until=CALLBACK)
    return browser.location


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


async def test_signing_out_at_the_provider_too(tmp_path: Path, provider: Provider) -> None:
    """Who signs out of the pages is offered the provider's page for that, and comes back from there."""
    async with serving(tmp_path, oidc=[provider.config(end_session=True)]) as server:
        browser = Visitor(server.app)
        await browser.go(
            "/_palpo/account/upstream/work?next=/_palpo/account/", until="http://test.example/_palpo"
        )
        await oidc_to_here(browser, "alice-1")
        page = await browser.go("/_palpo/account/login?again=true")
        fields = {"csrf": form_field(page.text, "csrf")} if "csrf" in page.text else {}
        browser.answer = await browser.http.post("http://test.example/_palpo/account/logout", data=fields)
        assert browser.answer.status_code == 200
        link = re.search(r'href="([^"]*/session/end[^"]*)"', browser.answer.text)
        assert link is not None
        assert "palpo_session" not in browser.http.cookies
        back = "http://test.example/_palpo/account/login"
        await browser.go(html.unescape(link[1]), until=back)
        await browser.submit(until=back, logout="yes")
        assert browser.location == back
        await browser.close()


async def test_a_session_that_ends_there_ends_here(tmp_path: Path, provider: Provider) -> None:
    """The provider is asked with a refresh token, which is another each time, until it says no."""
    async with serving(tmp_path, oidc=[provider.config(**ASKED_AGAIN)]) as server:
        browser = Visitor(server.app)
        await sign_on(browser, "alice-1")
        alice = await log_in(server, browser.location)
        renewals, db = server.services.sign_on.renewals, server.services.server.db
        assert renewals.wanted
        assert await renewals.renew_due() == 1
        assert await renewals.renew_due() == 0
        server.clock.advance(10 * 60_000)
        assert await renewals.renew_due() == 1
        await alice.get("/account/whoami")
        server.clock.advance(10 * 60_000)
        now = server.clock.now_ms()
        (session,) = await db.read(lambda tx: upstream_sessions.due(tx, now_ms=now, limit=10))
        token = server.services.sign_on.upstream_sessions.refresh_token(session)
        assert token
        assert token not in str(session)
        async with httpx.AsyncClient() as http:
            place, auth = f"{provider.issuer}/token/revocation", ("palpo", quote(oidc.SECRET))
            revoked = await http.post(place, data={"token": token}, auth=auth)
            assert revoked.status_code == 200
        assert await renewals.renew_due() == 1
        await alice.get("/account/whoami", status=401)
        await browser.close()


async def test_a_provider_that_is_away_logs_nobody_out(tmp_path: Path, provider: Provider) -> None:
    async with serving(tmp_path, oidc=[provider.config(**ASKED_AGAIN)]) as server:
        browser = Visitor(server.app)
        await sign_on(browser, "alice-1")
        alice = await log_in(server, browser.location)
        await browser.close()
    async with serving(
        tmp_path, oidc=[provider.config(**ASKED_AGAIN)], network={"deny": ["127.0.0.1/32"]}
    ) as server:
        assert await server.services.sign_on.renewals.renew_due() == 1
        await Client(server.http, alice.user_id, alice.token).get("/account/whoami")


async def test_new_users_accept_the_terms(tmp_path: Path, provider: Provider) -> None:
    terms = [{"policy": "privacy", "version": "1", "name": "Privacy", "url": "https://test.example/privacy"}]
    registration = {"terms": terms}
    async with serving(tmp_path, oidc=[provider.config()], registration=registration) as server:
        browser = Visitor(server.app)
        await sign_on(browser, "alice-1")
        assert "https://test.example/privacy" in browser.answer.text
        page = browser.answer
        await browser.submit(drop=("terms",))
        assert browser.answer.status_code == 400
        browser.answer = page
        await browser.submit(terms="1")
        alice = await log_in(server, browser.location)
        assert alice.user_id == "@alice:test.example"
        # Who has an account is not asked again.
        assert (await log_in(server, await again(browser))).user_id == alice.user_id
        await browser.close()
