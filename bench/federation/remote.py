"""Servers that are neither Palpo nor Synapse, and the same for both: one program that is all of them.

It answers what it is asked about its rooms and keys, notes what it is told, and sends transactions.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

import aiohttp
import orjson
from aiohttp import web
from yarl import URL

from bench.federation.rooms import KEY, Room
from bench.federation.town import Place, Town
from palpo.core.canonical_json import to_json
from palpo.core.event_hashes import add_signature
from palpo.core.events import SignedEvent, parse_pdu
from palpo.core.signing import sign_json
from palpo.core.x_matrix import SignedRequest, authorization
from tests.support.pairs import PORT

HOUR_MS = 3600 * 1000
FEDERATION = "/_matrix/federation"
PIECE = 256 * 1024


@dataclass(frozen=True, slots=True)
class Transaction:
    """A signed request that is ready to be sent."""

    target: str
    authorization: str
    body: bytes


class Remote:
    """All of these servers, at one place."""

    def __init__(self, place: Place, client: aiohttp.ClientSession) -> None:
        self.place = place
        self.rooms: dict[str, Room] = {}
        self.arrivals: dict[str, dict[str, float]] = {}
        """When each server was told of the messages whose texts are keys here."""
        self.silent: set[str] = set()
        """Servers that take requests, and answer none."""
        self.asked: Counter[str] = Counter()
        """What else was asked for."""
        self.partial = False
        """Whether members are left out of the answer to a join that asks for it."""
        self._news = asyncio.Condition()
        self._before: dict[str, frozenset[str]] = {}
        self._client = client
        self._number = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        if request.host in self.silent:
            await asyncio.Event().wait()
        parts = [unquote(part) for part in request.raw_path.partition("?")[0].split("/")]
        match request.method, parts[2:]:
            case "GET", ["key", "v2", "server", *_]:
                return _json(_keys(request.host))
            case "PUT", ["federation", _, "send", _]:
                return _json(await self._take(request.host, orjson.loads(await request.read())))
            case "GET", ["federation", _, "make_join", room_id, user_id]:
                return _json(self.rooms[room_id].template(user_id))
            case "PUT", ["federation", "v2", "send_join", room_id, _]:
                return await self._joined(request, self.rooms[room_id])
            case "GET", ["federation", "v1", "state", room_id]:
                return await _streamed(request, self.rooms[room_id].whole())
            case "GET", ["federation", "v1", "state_ids", room_id]:
                return await _streamed(request, self.rooms[room_id].whole_ids())
        self.asked[f"{request.method} {'/'.join(parts[2:5])}"] += 1
        return web.json_response({"errcode": "M_NOT_FOUND", "error": "What?"}, status=404)

    async def _take(self, host: str, content: dict[str, Any]) -> dict[str, Any]:
        now = time.perf_counter()
        for pdu in content.get("pdus", ()):
            if pdu["room_id"] in self.rooms:
                self._note(self.rooms[pdu["room_id"]], pdu)
            arrivals = self.arrivals.get(str(pdu["content"].get("body")))
            if arrivals is not None:
                arrivals.setdefault(host, now)
        async with self._news:
            self._news.notify_all()
        return {"pdus": {}}

    async def _joined(self, request: web.Request, room: Room) -> web.StreamResponse:
        pdu = orjson.loads(await request.read())
        partially = self.partial and request.query.get("omit_members") == "true"
        room.close()
        told = room.some() if partially else room.told()
        response = await _streamed(request, told)
        room.take(parse_pdu(room.rules, add_signature(room.rules, pdu, self.place.server_name, KEY)))
        return response

    async def heard_of(self, event_id: str, seconds: float = 30) -> None:
        """Wait until an event has come. Raises TimeoutError."""
        await self._until(lambda: event_id in self._before, seconds)

    async def told_to(self, mark: str, count: int, seconds: float) -> None:
        """Wait until so many servers have a message. Raises TimeoutError."""
        await self._until(lambda: len(self.arrivals[mark]) >= count, seconds)

    async def _until(self, condition: Callable[[], bool], seconds: float) -> None:
        async with asyncio.timeout(seconds), self._news:
            await self._news.wait_for(condition)

    async def ends(self, server: Place, room: Room, own: set[str]) -> int:
        """How many of our events in a room, and of those that came, nothing of the server's comes after.

        What it has not been told of it asks for.
        """
        while missing := set().union(*self._before.values()) - self._before.keys() - room.events.keys() - own:
            for event_id in missing:
                answer = await self.ask(server, "GET", f"{FEDERATION}/v1/event/{quote(event_id)}")
                self._note(room, answer["pdus"][0])
        return len((own | self._before.keys()).difference(*self._before.values()))

    def _note(self, room: Room, pdu: dict[str, Any]) -> None:
        event = parse_pdu(room.rules, pdu)
        self._before[event.event_id] = frozenset(event.prev_events)

    def transaction(
        self, to: Place, events: Sequence[SignedEvent], *, origin: str | None = None
    ) -> Transaction:
        """Sign a transaction; ``origin`` is one of these servers, where they are many."""
        self._number += 1
        origin = origin or self.place.server_name
        content = {
            "origin": origin,
            "origin_server_ts": int(time.time() * 1000),
            "pdus": [event.pdu for event in events],
        }
        target = f"{FEDERATION}/v1/send/{self._number}"
        credentials = self._authorization(origin, to, "PUT", target, content)
        return Transaction(target, credentials, to_json(content))

    async def send(self, to: Place, transaction: Transaction) -> None:
        """Send a transaction. Raises RuntimeError if it is refused."""
        answer = await self._request(
            to, "PUT", transaction.target, transaction.authorization, transaction.body
        )
        if refused := [item for item in answer.get("pdus", {}).values() if item]:
            raise RuntimeError(f"events were refused: {refused[:3]}")

    async def greet(self, server: Place, names: Iterable[str]) -> None:
        """Have servers be heard from, so that it tries those again that it had given up for a while."""
        for name in names:
            await self.send(server, self.transaction(server, [], origin=name))

    async def ask(self, server: Place, method: str, target: str) -> Any:
        """Ask for something without a body. Raises RuntimeError if it is refused."""
        credentials = self._authorization(self.place.server_name, server, method, target)
        return await self._request(server, method, target, credentials)

    def _authorization(self, origin: str, to: Place, method: str, target: str, content: Any = None) -> str:
        request = SignedRequest(
            method=method,
            uri=target,
            origin=origin,
            destination=to.server_name,
            content=content,
        )
        return authorization(request, KEY)

    async def _request(
        self, to: Place, method: str, target: str, credentials: str, body: bytes | None = None
    ) -> Any:
        async with self._client.request(
            method,
            URL(f"https://{to.address}:{PORT}{target}", encoded=True),
            data=body,
            headers={
                "Host": to.server_name,
                "Authorization": credentials,
                "Content-Type": "application/json",
            },
            server_hostname=to.host,
        ) as response:
            answer = await response.read()
            if response.status != 200:
                raise RuntimeError(f"{method} {target} was refused: {response.status} {answer[:300]!r}")
            return orjson.loads(answer)


@asynccontextmanager
async def remote(town: Town, host: str) -> AsyncIterator[Remote]:
    """Be the servers of a host, which may be ``*.fan.test``."""
    place = town.place(host)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place.certificate, place.key)
    trusted = ssl.create_default_context(cafile=str(town.authority.file))
    timeout = aiohttp.ClientTimeout(total=600)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusted), timeout=timeout) as client:
        running = Remote(place, client)
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{rest:.*}", running.answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, place.address, PORT, ssl_context=context, backlog=4096).start()
            yield running
        finally:
            await runner.cleanup()


def _keys(server_name: str) -> dict[str, Any]:
    content = {
        "server_name": server_name,
        "valid_until_ts": int(time.time() * 1000) + 24 * HOUR_MS,
        "verify_keys": {KEY.key_id: {"key": KEY.verify_key_base64}},
        "old_verify_keys": {},
    }
    return sign_json(content, server_name, KEY)


async def _streamed(request: web.Request, parts: Iterable[bytes]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    piece = bytearray()
    for part in parts:
        piece += part
        if len(piece) > PIECE:
            await response.write(bytes(piece))
            piece.clear()
    await response.write(bytes(piece))
    await response.write_eof()
    return response


def _json(content: Any) -> web.Response:
    return web.json_response(body=orjson.dumps(content))
