"""ID tokens that are forged, meant for others, or put together: each of them signs nobody on."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from palpo.core.identifiers import UserId
from palpo.core.unpadded_base64 import encode_urlsafe
from tests.sign_on.oidc import SECRET
from tests.sign_on.support import CLIENT, REDIRECT, serving
from tests.sign_on.test_metadata import config, publish
from tests.support.homeserver import Homeserver
from tests.support.visitor import Visitor
from tests.support.web import Web, web

pytestmark = pytest.mark.one_database

KEY = RSAKey.generate_key(2048, {"kid": "theirs"})
EVIL = RSAKey.generate_key(2048, {"kid": "theirs"})
CURVE = ECKey.generate_key("P-256", {"kid": "evil"})
ACCESS = "an access token"


@dataclass(slots=True)
class Site:
    """A server, and a provider that answers whatever a test wants."""

    server: Homeserver
    provider: Web

    async def come_back(self, made: Any, callback: dict[str, str] | None = None, **tokens: Any) -> int:
        """How a return is answered for which the token endpoint gives ``made(nonce)``."""
        browser = Visitor(self.server.app)
        await browser.go(f"{REDIRECT}/work?redirectUrl={CLIENT}", until="http://127.0.0.1")
        asked = {name: values[0] for name, values in parse_qs(urlsplit(browser.location).query).items()}
        body = {"access_token": ACCESS, "token_type": "Bearer", "id_token": made(asked["nonce"]), **tokens}
        self.provider.page("/token", json.dumps(body).encode(), "application/json")
        query = urlencode({"state": asked["state"], "code": "c", **(callback or {})})
        answer = await browser.go(f"/_synapse/client/oidc/callback?{query}")
        await browser.close()
        return answer.status_code

    def claims(self, question: str, **changed: Any) -> dict[str, Any]:
        """Those of a good token; a claim that is None is left out."""
        now = int(time.time())
        made = {
            "iss": self.provider.url(""),
            "sub": "alice-1",
            "aud": "palpo",
            "exp": now + 300,
            "iat": now,
            "nonce": question,
            "preferred_username": "alice",
            **changed,
        }
        return {name: value for name, value in made.items() if value is not None}

    def signed(
        self, question: str, key: Any = KEY, header: dict[str, Any] | None = None, **changed: Any
    ) -> str:
        """A token with such claims."""
        head = {"alg": "RS256", "kid": "theirs", **(header or {})}
        return jwt.encode(head, self.claims(question, **changed), key, algorithms=[head["alg"]])


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with web() as provider:
        publish(provider)
        keys = {"keys": [KEY.as_dict(private=False), {"kty": "unheard of"}, 7]}
        provider.page("/jwks", json.dumps(keys).encode(), "application/json")
        settings = config(provider, localpart_template="{{ user.preferred_username }}")
        async with serving(tmp_path, oidc=[settings]) as server:
            yield Site(server, provider)


async def test_a_good_one_is_taken(site: Site) -> None:
    """Or else those below would be refused for something else."""
    assert await site.come_back(site.signed) == 303
    issuer = {"iss": site.provider.url("")}
    assert await site.come_back(site.signed, issuer) == 303


async def test_nonce_audience_issuer_and_times(site: Site) -> None:
    now = int(time.time())
    for changed in (
        {"nonce": None},
        {"nonce": "another"},
        {"nonce": ["x"]},
        {"iss": None},
        {"iss": "https://evil.example"},
        {"iss": f"{site.provider.url('')}/"},
        {"aud": None},
        {"aud": "another"},
        {"aud": ["another"]},
        {"aud": ["palpo", "another"], "azp": "another"},
        {"aud": {"palpo": 1}},
        {"exp": None},
        {"exp": now - 3600},
        {"exp": "tomorrow"},
        {"exp": True},
        {"iat": None},
        {"iat": now - 7200},
        {"iat": now + 7200},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
        {"at_hash": 7},
    ):

        def made(nonce: str, changed: dict[str, Any] = changed) -> str:
            return site.signed(nonce, **changed)

        assert await site.come_back(made) == 403, changed


async def test_signatures(site: Site) -> None:
    """No algorithm at all, the public key as a secret, the client's secret, keys that come with the token."""
    public = KEY.as_pem(private=False)
    evil = EVIL.as_dict(private=False)

    def unsigned(nonce: str) -> str:
        parts = [{"alg": "none"}, site.claims(nonce)]
        return ".".join([*(encode_urlsafe(json.dumps(part).encode()) for part in parts), ""])

    def cut(nonce: str) -> str:
        return site.signed(nonce).rpartition(".")[0] + "."

    def swapped(nonce: str) -> str:
        head, _, signature = site.signed(nonce).split(".")
        claims = encode_urlsafe(json.dumps(site.claims(nonce, sub="admin")).encode())
        return f"{head}.{claims}.{signature}"

    def confused(nonce: str) -> str:
        """Signed with the public key, as if it were a secret."""
        parts = [{"alg": "HS256", "kid": "theirs"}, site.claims(nonce)]
        text = ".".join(encode_urlsafe(json.dumps(part).encode()) for part in parts)
        return f"{text}.{encode_urlsafe(hmac.new(public, text.encode(), hashlib.sha256).digest())}"

    forged: list[Any] = [
        unsigned,
        cut,
        swapped,
        confused,
        lambda nonce: site.signed(nonce, OctKey.import_key(SECRET), {"alg": "HS256", "kid": "x"}),
        lambda nonce: site.signed(nonce, EVIL),
        lambda nonce: site.signed(nonce, EVIL, {"kid": "../../etc/passwd"}),
        lambda nonce: site.signed(nonce, EVIL, {"kid": "x' OR 1=1 --"}),
        lambda nonce: site.signed(nonce, EVIL, {"jwk": evil}),
        lambda nonce: site.signed(nonce, EVIL, {"jku": site.provider.url("/evil")}),
        lambda nonce: site.signed(nonce, EVIL, {"x5u": site.provider.url("/evil")}),
        lambda nonce: site.signed(nonce, CURVE, {"alg": "ES256", "jwk": CURVE.as_dict(private=False)}),
        lambda nonce: "",
        lambda nonce: "a.b.c",
        lambda nonce: ["x"],
        lambda nonce: None,
        lambda nonce: "x" * 100_000,
    ]
    site.provider.page("/evil", json.dumps({"keys": [evil]}).encode(), "application/json")
    for number, made in enumerate(forged):
        assert await site.come_back(made) == 403, number
    assert "/evil" not in site.provider.requests


async def test_what_signs_something_else_is_no_proof(site: Site) -> None:
    """What is signed has to be a token: a payload that is none, and headers that change how it is read."""

    def payload(nonce: str) -> str:
        return jws.serialize_compact({"alg": "RS256", "kid": "theirs"}, b"[1]", KEY, algorithms=["RS256"])

    assert await site.come_back(payload) == 403


async def test_mix_up_by_iss(site: Site) -> None:
    """An answer that says that it is another's is not taken to the token endpoint."""
    before = site.provider.requests.count("/token")
    for issuer in "https://evil.example", "", f"{site.provider.url('')}/":
        assert await site.come_back(site.signed, {"iss": issuer}) == 403, issuer
    assert site.provider.requests.count("/token") == before


async def test_mix_up_where_iss_is_missing(tmp_path: Path) -> None:
    """Who says that answers have ``iss`` has to have it in there."""
    async with web() as provider:
        publish(provider, authorization_response_iss_parameter_supported=True)
        keys = {"keys": [KEY.as_dict(private=False)]}
        provider.page("/jwks", json.dumps(keys).encode(), "application/json")
        settings = config(provider, localpart_template="{{ user.preferred_username }}")
        async with serving(tmp_path, oidc=[settings]) as server:
            site = Site(server, provider)
            assert await site.come_back(site.signed) == 403
            assert await site.come_back(site.signed, {"iss": provider.url("")}) == 303


async def test_userinfo_of_somebody_else(tmp_path: Path) -> None:
    async with web() as provider:
        publish(provider, userinfo_endpoint=provider.url("/userinfo"))
        keys = {"keys": [KEY.as_dict(private=False)]}
        provider.page("/jwks", json.dumps(keys).encode(), "application/json")
        settings = config(provider, localpart_template="{{ user.preferred_username }}", userinfo="always")
        async with serving(tmp_path, oidc=[settings]) as server:
            site = Site(server, provider)
            for said, status in (({"sub": "admin"}, 403), ({}, 403), ({"sub": "alice-1"}, 303)):
                provider.page("/userinfo", json.dumps(said).encode(), "application/json")
                assert await site.come_back(site.signed) == status


async def test_addresses_that_are_not_verified(tmp_path: Path) -> None:
    async with web() as provider:
        publish(provider)
        keys = {"keys": [KEY.as_dict(private=False)]}
        provider.page("/jwks", json.dumps(keys).encode(), "application/json")
        templates = {
            "localpart_template": "{{ user.preferred_username }}",
            "email_template": "{{ user.email }}",
        }
        async with serving(tmp_path, oidc=[config(provider, **templates)]) as server:
            site = Site(server, provider)
            for number, said in enumerate((False, "false", "False", 0, True, "true")):
                name, address = f"user{number}", f"user{number}@work.example"

                def made(nonce: str, name: str = name, email: str = address, said: object = said) -> str:
                    changed = {"sub": name, "preferred_username": name, "email": email}
                    return site.signed(nonce, email_verified=said, **changed)

                assert await site.come_back(made) == 303
                found = await server.services.administration.user_lists.whole(UserId(f"@{name}:test.example"))
                assert (address in str(found)) == (said in (True, "true"))


async def test_header_injection_by_metadata(tmp_path: Path) -> None:
    async with web() as provider:
        publish(provider, authorization_endpoint=provider.url("/x\r\nSet-Cookie: evil=1"))
        async with serving(tmp_path, oidc=[config(provider)]) as server:
            answer = await server.http.get(f"{REDIRECT}/work", params={"redirectUrl": CLIENT})
            assert answer.status_code == 503
            assert "evil" not in str(answer.headers)
