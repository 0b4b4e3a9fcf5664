"""A client of the OAuth 2.0 API, which does as the spec says where a test does not say otherwise."""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

from tests.support.browser import Browser
from tests.support.homeserver import Client, Homeserver

BASE = "https://test.example"
ROOT = "/_palpo/oauth2"
METADATA: dict[str, Any] = {
    "client_name": "An App",
    "client_uri": "https://app.example/",
    "redirect_uris": ["https://app.example/callback"],
    "token_endpoint_auth_method": "none",
    "response_types": ["code"],
    "grant_types": [
        "authorization_code",
        "refresh_token",
        "urn:ietf:params:oauth:grant-type:device_code",
    ],
}
API = "urn:matrix:client:api:*"
DEVICE = "urn:matrix:client:device:"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


def challenge_of(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class App:
    """An application that has registered."""

    def __init__(self, server: Homeserver, client_id: str, redirect_uri: str) -> None:
        self.server = server
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app=server.app), base_url=BASE)
        self.client_id = client_id
        self.redirect_uri = redirect_uri
        self.verifier = secrets.token_urlsafe(48)
        self.device_id = secrets.token_urlsafe(9)
        self.state = secrets.token_urlsafe(9)

    def url(self, **changes: str | None) -> str:
        """Where a user's browser is sent; a parameter that is None is left out."""
        params: dict[str, str | None] = {
            "response_type": "code",
            "response_mode": "fragment",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": f"{API} {DEVICE}{self.device_id}",
            "state": self.state,
            "code_challenge": challenge_of(self.verifier),
            "code_challenge_method": "S256",
            **changes,
        }
        known = {name: value for name, value in params.items() if value is not None}
        return f"{ROOT}/authorize?{urlencode(known)}"

    async def post(self, path: str, status: int = 200, **fields: str) -> dict[str, Any]:
        """Send a form to an endpoint; its answer."""
        answer = await self.http.post(f"{ROOT}/{path}", data=fields)
        assert answer.status_code == status, answer.text
        assert status >= 400 or answer.headers["cache-control"] == "no-store"
        content: dict[str, Any] = answer.json()
        return content

    async def token(self, status: int = 200, **fields: str) -> dict[str, Any]:
        """Ask for tokens."""
        return await self.post("token", status, client_id=self.client_id, **fields)

    async def redeem(self, code: str, status: int = 200, **changes: str) -> dict[str, Any]:
        """Exchange a code."""
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": self.verifier,
        }
        return await self.token(status, **{**fields, **changes})

    async def refresh(self, refresh_token: str, status: int = 200) -> dict[str, Any]:
        """Exchange a refresh token."""
        return await self.token(status, grant_type="refresh_token", refresh_token=refresh_token)

    def matrix(self, access_token: str) -> Client:
        """A Matrix client with a token."""
        return Client(self.http, token=access_token)

    async def code(self, browser: Browser, **changes: str | None) -> str:
        """The code that a user who is signed in allows, or has allowed before."""
        page = await browser.get(self.url(**changes))
        if page.status_code == 200:
            page = await browser.submit(page, decision="allow")
        answer = answered(page)
        assert answer["state"] == self.state
        return answer["code"]

    async def sign_in(self, browser: Browser) -> dict[str, Any]:
        """Tokens for a user who is signed in."""
        return await self.redeem(await self.code(browser))


def answered(response: httpx.Response) -> dict[str, str]:
    """What a client is sent, in whichever part of the address."""
    assert response.status_code == 303, response.text
    parts = urlsplit(response.headers["location"])
    return {name: values[0] for name, values in parse_qs(parts.fragment or parts.query).items()}


async def register(server: Homeserver, **changes: Any) -> App:
    """A client that registers itself."""
    http = httpx.AsyncClient(transport=httpx.ASGITransport(app=server.app), base_url=BASE)
    answer = await http.post(f"{ROOT}/register", json={**METADATA, **changes})
    assert answer.status_code == 201, answer.text
    uris = answer.json()["redirect_uris"] or [""]
    return App(server, answer.json()["client_id"], uris[0])


async def signed_in_browser(server: Homeserver, localpart: str = "alice") -> Browser:
    """A browser in which a user is signed in."""
    browser = Browser(server, BASE)
    await browser.sign_in(localpart, "/_palpo/account/login?again=true")
    return browser
