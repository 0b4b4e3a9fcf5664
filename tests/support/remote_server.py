"""A homeserver that is not ours: it answers what a test has it answer, and asks what a test has it ask.

async with remote_server(town, "remote.example") as remote:
    remote.answers["GET", "/_matrix/federation/v1/query/profile"] = {"displayname": "Bob"}
    await remote.ask(ours, "GET", "/_matrix/federation/v1/event/$id")
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
from aiohttp import web

from palpo.core.canonical_json import encode_read, to_json
from palpo.core.signing import SigningKey, sign_json
from palpo.core.x_matrix import SignedRequest
from tests.support.federation import Asked, peer
from tests.support.homeserver import Homeserver
from tests.support.key_servers import HOUR_MS, signed
from tests.support.pairs import Town

Answer = dict[str, Any] | list[Any] | web.Response | Callable[[Asked], Awaitable[Any]]


@dataclass(slots=True)
class RemoteServer:
    """``asked`` is what was asked, the keys left out; ``answers`` go by method and the path's beginning, of
    which the longest counts. What nobody has an answer for is 404 M_UNRECOGNIZED."""

    name: str
    key: SigningKey
    now_ms: Callable[[], int]
    answers: dict[tuple[str, str], Answer] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def content(self, number: int = -1) -> Any:
        """The body of something that was asked."""
        return orjson.loads(self.asked[number].body)

    async def raw(
        self,
        ours: Homeserver,
        method: str,
        path: str,
        content: Any = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Ask one of our servers; ``path`` is encoded, with its query."""
        return await ours.http.request(
            method,
            path,
            content=None if content is None else to_json(content),
            headers=headers or self.headers(ours, method, path, content),
        )

    async def send_json(
        self, ours: Homeserver, method: str, path: str, body: bytes, form: bytes
    ) -> httpx.Response:
        """Ask with a body that is JSON or nearly so; signed is ``form``, its canonical JSON."""
        destination = ours.services.server.name
        request = SignedRequest(method=method, uri=path, origin=self.name, destination=destination)
        rest = encode_read(request.json())
        sig = self.key.sign(b'{"content":%b,%b' % (form, rest[1:]))
        names = f'origin="{self.name}",destination="{destination}"'
        header = f'X-Matrix {names},key="{self.key.key_id}",sig="{sig}"'
        return await ours.http.request(method, path, content=body, headers={"Authorization": header})

    def headers(self, ours: Homeserver, method: str, path: str, content: Any = None) -> dict[str, str]:
        """Those of a request to one of our servers, which prove who asks."""
        destination = ours.services.server.name
        request = SignedRequest(
            method=method, uri=path, origin=self.name, destination=destination, content=content
        )
        return {"Authorization": self._authorization(request)}

    async def ask(
        self,
        ours: Homeserver,
        method: str,
        path: str,
        content: Any = None,
        *,
        status: int | None = 200,
        headers: dict[str, str] | None = None,
    ) -> Any:
        """The same; the decoded JSON that it answers."""
        response = await self.raw(ours, method, path, content, headers)
        if status is not None:
            assert response.status_code == status, f"{method} {path}: {response.status_code} {response.text}"
        return response.json()

    def _authorization(self, request: SignedRequest) -> str:
        """As it is made here too, but for any content that can be read."""
        signed = sign_json(request.json(), self.name, self.key, encode=encode_read)
        sig = signed["signatures"][self.name][self.key.key_id]
        names = f'origin="{self.name}",destination="{request.destination}"'
        return f'X-Matrix {names},key="{self.key.key_id}",sig="{sig}"'

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        keys = ("GET", "/_matrix/key/v2/server")
        if request.path.startswith(keys[1]) and keys not in self.answers:
            return web.json_response(
                signed(self.name, [self.key], valid_until_ts=self.now_ms() + 24 * HOUR_MS)
            )
        found = [
            key for key in self.answers if key[0] == request.method and request.raw_path.startswith(key[1])
        ]
        if not found:
            return web.json_response({"errcode": "M_UNRECOGNIZED", "error": "What?"}, status=404)
        answer: Any = self.answers[max(found, key=lambda key: len(key[1]))]
        if callable(answer):
            answer = await answer(self.asked[-1])
        if isinstance(answer, web.Response):
            # A response is sent once, and this one may be answered again.
            headers = {"Content-Type": answer.headers["Content-Type"]}
            return web.Response(status=answer.status, body=answer.body, headers=headers)
        return web.json_response(answer)


@asynccontextmanager
async def remote_server(
    town: Town, name: str, *, key: SigningKey | None = None, now_ms: Callable[[], int] = lambda: 0
) -> AsyncIterator[RemoteServer]:
    """Run a server at its place in ``town``; ``now_ms`` is the time of those that look at its keys."""
    key = key or SigningKey(key_id="ed25519:1", seed=name.encode().ljust(32, b"\0")[:32])
    remote = RemoteServer(name, key, now_ms)
    host, _, port = town.hosts[name].rpartition(":")
    async with peer(town.authority.serving(name), host=host, port=int(port)) as running:

        async def answer(request: web.Request) -> web.StreamResponse:
            if not request.path.startswith("/_matrix/key/"):
                remote.asked.append(running.asked[-1])
            return await remote.answer(request)

        running.answer = answer
        yield remote
