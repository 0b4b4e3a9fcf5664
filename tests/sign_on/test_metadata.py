"""What a provider says of itself is held to what may be believed."""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.sign_on.oidc import SECRET
from tests.sign_on.support import CLIENT, REDIRECT, serving
from tests.support.certificates import make_certificate
from tests.support.visitor import Visitor
from tests.support.web import Web, web

pytestmark = pytest.mark.one_database

WELL_KNOWN = "/.well-known/openid-configuration"


def config(site: Web, **settings: Any) -> dict[str, Any]:
    return {
        "id": "work",
        "name": "Work",
        "issuer": site.url(""),
        "client_id": "palpo",
        "client_secret": SECRET,
        **settings,
    }


def publish(site: Web, **changed: Any) -> None:
    metadata = {
        "issuer": site.url(""),
        "authorization_endpoint": site.url("/authorize"),
        "token_endpoint": site.url("/token"),
        "jwks_uri": site.url("/jwks"),
        **changed,
    }
    site.page(WELL_KNOWN, json.dumps(metadata).encode(), "application/json")


async def come_back(path: Path, site: Web) -> int:
    """How a return from the provider is answered."""
    async with serving(path, oidc=[config(site)]) as server:
        browser = Visitor(server.app)
        await browser.go(f"{REDIRECT}/work?redirectUrl={CLIENT}", until="http://127.0.0.1")
        state = parse_qs(urlsplit(browser.location).query)["state"][0]
        answer = await browser.go(f"/_synapse/client/oidc/callback?state={state}&code=c")
        await browser.close()
        return answer.status_code


async def test_ssrf_through_metadata(tmp_path: Path) -> None:
    async with web() as site, web("127.0.0.2") as inner:
        publish(site, token_endpoint=inner.url("/token", "127.0.0.2"))
        assert await come_back(tmp_path, site) == 503
        assert inner.connections == 0


async def test_ssrf_through_keys(tmp_path: Path) -> None:
    async with web() as site, web("127.0.0.2") as inner:
        publish(site, jwks_uri=inner.url("/jwks", "127.0.0.2"))
        # A token with a header that asks for the keys to be fetched.
        token = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImEifQ.e30.AAAA"
        site.page("/token", json.dumps({"access_token": "t", "id_token": token}).encode())
        assert await come_back(tmp_path, site) == 503
        assert inner.connections == 0


async def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    async with web() as site, web() as other:
        publish(site)
        site.redirect("/token", other.url("/token"))
        assert await come_back(tmp_path, site) == 503
        assert other.connections == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"issuer": "https://other.example"},
        {"issuer": 1},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": ""},
        {"token_endpoint": ""},
    ],
)
async def test_metadata_that_cannot_be_used(tmp_path: Path, changed: dict[str, Any]) -> None:
    async with web() as site:
        publish(site, **changed)
        async with serving(tmp_path, oidc=[config(site)]) as server:
            answer = await server.http.get(f"{REDIRECT}/work", params={"redirectUrl": CLIENT})
            assert answer.status_code == 503


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"x" * 600_000, b'{"a":' * 2000])
async def test_an_answer_that_is_none(tmp_path: Path, body: bytes) -> None:
    async with web() as site:
        publish(site)
        site.page("/token", body)
        assert await come_back(tmp_path, site) == 503


async def test_plain_text_where_the_issuer_has_tls() -> None:
    from palpo.core.errors import Unavailable
    from palpo.net.addresses import AddressPolicy
    from palpo.net.http_client import HttpClient
    from palpo.services.sign_on.oidc.fetching import Fetching

    http = HttpClient(AddressPolicy(["127.0.0.1/32"]), user_agent="test")
    async with web() as site:
        fetching = Fetching(http, timeout_s=5, tls=True)
        with pytest.raises(Unavailable):
            await fetching.json(site.url("/"))
        assert site.connections == 0
    await http.close()


async def test_the_page_that_logs_in_shows_the_providers(tmp_path: Path) -> None:
    async with web() as site:
        providers = [config(site, name="<Work>"), config(site, id="other", name="Other")]
        async with serving(tmp_path, oidc=providers, password={"enabled": False}) as server:
            page = (await server.http.get("/_matrix/static/client/login/")).text
            assert 'data-provider="work">Continue with &lt;Work&gt;</a>' in page
            assert 'type="password"' not in page
            listed = await server.http.get(REDIRECT, params={"redirectUrl": CLIENT})
            assert "/login/sso/redirect/other?redirectUrl=https%3A%2F%2Fclient.example%2Fapp" in listed.text
            assert "&lt;Work&gt;" in listed.text
            missing = await server.http.get(f"{REDIRECT}/nobody", params={"redirectUrl": CLIENT})
            assert missing.status_code == 404


async def test_who_wants_to_register_is_sent_to_do_that(tmp_path: Path) -> None:
    """Where the provider says that it knows how, and nothing else was set; by a client and by the pages."""
    async with web() as site:
        publish(site, prompt_values_supported=["none", "create"])
        settings = {
            "oidc": [config(site), config(site, id="other", authorization_parameters={"prompt": "login"})]
        }
        async with serving(tmp_path, **settings, registration={"open": False}) as server:
            for path, prompt in (
                (f"{REDIRECT}/work?redirectUrl={CLIENT}&action=register", ["create"]),
                (f"{REDIRECT}/work?redirectUrl={CLIENT}&action=login", None),
                (f"{REDIRECT}/work?redirectUrl={CLIENT}", None),
                (f"{REDIRECT}/other?redirectUrl={CLIENT}&action=register", ["login"]),
                ("/_palpo/account/upstream/work?action=register", ["create"]),
                ("/_palpo/account/upstream/work?action=x", None),
            ):
                answer = await server.http.get(path)
                assert parse_qs(urlsplit(answer.headers["location"]).query).get("prompt") == prompt, path
            page = await server.http.get(f"{REDIRECT}?redirectUrl={CLIENT}&action=register")
            page = await server.http.get(page.headers["location"])
            assert "/_palpo/account/upstream/work?" in page.text
            assert "action=register" in page.text


async def test_authorities_of_ones_own(tmp_path: Path) -> None:
    """An organisation's own authority vouches for one provider; the other is held to those of the system."""
    certificate, key = make_certificate(tmp_path / "tls", "localhost")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    async with web(tls=tls) as site:
        issuer = site.url("", "localhost")
        metadata = {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/authorize",
            "token_endpoint": f"{issuer}/t",
        }
        site.page(WELL_KNOWN, json.dumps(metadata).encode(), "application/json")
        providers = [
            config(site, issuer=issuer, ca_file=str(certificate)),
            config(site, issuer=issuer, id="other"),
        ]
        async with serving(
            tmp_path, oidc=providers, network={"allow": ["127.0.0.1/32", "::1/128"]}
        ) as server:
            for name, status in (("work", 302), ("other", 503)):
                answer = await server.http.get(f"{REDIRECT}/{name}?redirectUrl={CLIENT}")
                assert answer.status_code == status, answer.text
