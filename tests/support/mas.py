"""A stand-in for Matrix Authentication Service, which no package registry has.

It speaks what the real one speaks with a homeserver, over HTTP on loopback: metadata, introspection by the
shared secret, with ``X-MAS-Supports-Device-Id``; and it calls the homeserver's routes with the requests that
the real one's client makes, leaving out the fields that it leaves out. It does not sign anybody in: what a
token stands for is what a test says.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import httpx
from aiohttp import web

from tests.support.homeserver import Client, Homeserver

SECRET = "a-secret-that-both-know"
API = "urn:matrix:client:api:*"
UNSTABLE_API = "urn:matrix:org.matrix.msc2967.client:api:*"
DEVICE = "urn:matrix:client:device:"
UNSTABLE_DEVICE = "urn:matrix:org.matrix.msc2967.client:device:"
ADMIN = "urn:synapse:admin:*"


@dataclass
class Mas:
    """One that runs."""

    port: int = 0
    secret: str = SECRET
    public: str = "https://auth.example/"
    """Where clients reach it."""
    tokens: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What each stands for."""
    asked: list[str] = field(default_factory=list)
    """The tokens that were asked about, one after another."""
    away: bool = False
    """It answers that something is wrong with it."""
    raw: bytes | None = None
    """What it answers to introspection in place of what is right."""

    @property
    def url(self) -> str:
        """Where the homeserver reaches it."""
        return f"http://127.0.0.1:{self.port}"

    def settings(self, **more: Any) -> dict[str, Any]:
        """Settings of a homeserver that delegates to it."""
        delegation = {"endpoint": f"{self.url}/", "secret": SECRET, **more}
        return {"public_url": "https://test.example", "oauth": {"delegation": delegation}}

    def metadata(self) -> dict[str, Any]:
        """As the real one's."""
        public = self.public
        return {
            "issuer": public,
            "authorization_endpoint": f"{public}authorize",
            "token_endpoint": f"{public}oauth2/token",
            "introspection_endpoint": f"{public}oauth2/introspect",
            "registration_endpoint": f"{public}oauth2/registration",
            "revocation_endpoint": f"{public}oauth2/revoke",
            "response_types_supported": ["code"],
            "response_modes_supported": ["form_post", "query", "fragment"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "code_challenge_methods_supported": ["plain", "S256"],
            "account_management_uri": f"{public}account/",
            "org.example.whatever": ["is", "handed", "on"],
        }

    def grant(self, token: str, username: str, device_id: str | None = "DEVICE12345", **more: Any) -> None:
        """A token of a session by OAuth 2.0, whose device is in its scope."""
        scope = [API, UNSTABLE_API]
        if device_id is not None:
            scope += [DEVICE + device_id, UNSTABLE_DEVICE + device_id]
        self.tokens[token] = {
            "active": True,
            "scope": " ".join(scope),
            "username": username,
            "client_id": "01J44RKQYM4G3TNVANTMTDYTX6",
            "sub": "01J44RKQYM4G3TNVANTMTDYTX7",
            "token_type": "access_token",
            "expires_in": 300,
            **more,
        }

    def grant_compatible(self, token: str, username: str, device_id: str, *, admin: bool = False) -> None:
        """A token of somebody who logged in the old way: its device has a field of its own."""
        scope = [API, UNSTABLE_API, *([ADMIN] if admin else [])]
        self.tokens[token] = {
            "active": True,
            "scope": " ".join(scope),
            "username": username,
            "token_type": "access_token",
            "device_id": device_id,
        }

    async def introspect(self, request: web.Request) -> web.Response:
        """POST /oauth2/introspect."""
        form = parse_qs(await request.text())
        (token,) = form["token"]
        self.asked.append(token)
        if self.away:
            return web.json_response({"error": "server_error"}, status=500)
        if request.headers.get("Authorization") != f"Bearer {self.secret}":
            return web.json_response({"error": "access_denied"}, status=401)
        if self.raw is not None:
            return web.Response(body=self.raw, content_type="application/json")
        assert form["token_type_hint"] == ["access_token"]
        assert request.headers["X-MAS-Supports-Device-Id"] == "1"
        return web.json_response(self.tokens.get(token, {"active": False}))

    async def discover(self, request: web.Request) -> web.Response:
        """GET /.well-known/openid-configuration."""
        return web.json_response(self.metadata(), status=500 if self.away else 200)


class MasClient:
    """The routes as it calls them."""

    def __init__(self, http: httpx.AsyncClient, secret: str = SECRET) -> None:
        self._http = http
        self._headers = {"Authorization": f"Bearer {secret}"}

    async def get(self, name: str, localpart: str) -> httpx.Response:
        """Ask about a user."""
        params = {"localpart": localpart}
        return await self._http.get(f"/_synapse/mas/{name}", params=params, headers=self._headers)

    async def post(self, name: str, **body: Any) -> httpx.Response:
        """Have something done; what is None is not mentioned."""
        said = {key: value for key, value in body.items() if value is not None}
        headers = {**self._headers, "Content-Type": "application/json"}
        return await self._http.post(f"/_synapse/mas/{name}", content=json.dumps(said), headers=headers)

    async def done(self, name: str, status: int = 200, **body: Any) -> None:
        """The same, which must succeed."""
        answer = await self.post(name, **body)
        assert answer.status_code == status, (name, answer.text)
        assert answer.content == (b"" if status == 204 else b"{}")


def client_of(server: Homeserver, token: str) -> Client:
    """A client with a token that the stand-in knows."""
    return Client(server.http, token=token)


@asynccontextmanager
async def mas() -> AsyncIterator[Mas]:
    """Run one."""
    running = Mas()
    app = web.Application()
    app.router.add_post("/oauth2/introspect", running.introspect)
    app.router.add_get("/.well-known/openid-configuration", running.discover)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    running.port = runner.addresses[0][1]
    try:
        yield running
    finally:
        await runner.cleanup()
