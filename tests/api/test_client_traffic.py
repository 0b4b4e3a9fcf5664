"""No client is told to slow down for what clients do, with the limits that a server has by default."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.api.client_traffic import TRAFFIC, Ask, Phase
from tests.support import asgi
from tests.support.asgi import Answer
from tests.support.homeserver import Client, Homeserver, homeserver

DEFAULTS = {"enabled": True}
REGISTRATION = {"open": True, "token": "invited"}
MAIL = {"host": "127.0.0.1", "port": 1, "sender": "palpo@test.example", "timeout_seconds": 1}


def schedule(phase: Phase) -> list[tuple[float, Ask, int]]:
    """Every request of a phase with its time and number, in order."""
    asks = [
        (ask.at + number * ask.every, ask, number + device * ask.count)
        for device in range(phase.clients)
        for ask in phase.asks
        for number in range(ask.count)
    ]
    return sorted(asks, key=lambda item: item[0])


async def facts(server: Homeserver, phase: Phase) -> tuple[Client, dict[str, str]]:
    """Who asks, and what the placeholders stand for."""
    if not phase.logged_in:
        answer = await server.client().post("/register", {}, status=401)
        return server.client(), {"session": answer["session"]}
    alice = await server.register("alice")
    room = await alice.create_room()
    event = await alice.send(room, "hello")
    uri = (await alice.request("POST", "/media/v3/upload", content=b"x"))["content_uri"]
    await alice.post("/room_keys/version", {"algorithm": "a", "auth_data": {}})
    return alice, {
        "me": alice.user_id,
        "room": room,
        "event": event,
        "media": uri.removeprefix("mxc://"),
        "since": str(server.services.server.wakeups.position),
    }


def filled(template: Any, known: dict[str, str]) -> str:
    text = template if isinstance(template, str) else json.dumps(template)
    for name, value in known.items():
        text = text.replace(f"{{{name}}}", value)
    return text


async def request(server: Homeserver, client: Client, method: str, path: str, body: bytes) -> Answer:
    """One of a client's requests."""
    raw_path, _, query = quote(path, safe="/?=&%:@!$,;+~*'()").encode().partition(b"?")
    headers = [(b"content-length", b"%d" % len(body))] if body else []
    if client.token:
        headers.append((b"authorization", f"Bearer {client.token}".encode()))
    return await asgi.ask(server.app, method, raw_path, query=query, headers=headers, body=body)


@pytest.mark.parametrize("phase", TRAFFIC, ids=str)
async def test_nobody_is_told_to_slow_down(tmp_path: Path, phase: Phase) -> None:
    extras: dict[str, Any] = {"email": MAIL} if "mail" in phase.what else {}
    async with homeserver(tmp_path, rate_limits=DEFAULTS, registration=REGISTRATION, **extras) as server:
        client, known = await facts(server, phase)
        server.clock.advance(600_000)
        began, now = server.clock.elapsed_s(), 0.0
        refused: list[str] = []
        for at, ask, number in schedule(phase):
            server.clock.advance(max(0, round((began + at - server.clock.elapsed_s()) * 1000)))
            now = at
            numbered = {**known, "n": str(number)}
            path = filled(ask.path, numbered)
            content = ask.content or b"" if ask.body is None else filled(ask.body, numbered).encode()
            answer = await request(server, client, ask.method, path, content)
            assert answer.status < 500, f"{path}: {answer.status} {answer.body!r}"
            assert (
                json.loads(answer.body).get("errcode") != "M_UNRECOGNIZED"
                if "json" in answer.content_type
                else True
            )
            if answer.status == 429:
                refused.append(f"{now:.2f} s {ask.method} {path} (number {number})")
        assert refused == []


async def test_what_a_client_does_not_do_is_refused(tmp_path: Path) -> None:
    """The same replay finds budgets that are used up."""
    async with homeserver(tmp_path, rate_limits=DEFAULTS, registration=REGISTRATION) as server:
        alice = await server.register("alice")
        for limited, path, body in (
            ("PUT", f"/user/{alice.user_id}/account_data/x", {"x": 1}),
            ("POST", f"/user/{alice.user_id}/filter", {}),
            ("POST", "/keys/query", {"device_keys": {f"@u{n}:test.example": [] for n in range(1000)}}),
            ("PUT", "/sendToDevice/m.x/%d", {"messages": {f"@u{n}:x": {"D": {}} for n in range(2000)}}),
            ("GET", "/sync?timeout=0", None),
            ("POST", "/search", {"search_categories": {"room_events": {"search_term": "x"}}}),
            ("PUT", f"/presence/{alice.user_id}/status", {"presence": "online"}),
        ):
            answers = []
            for number in range(250):
                where = path.replace("%d", str(number))
                answers.append(await alice.request(limited, f"/client/v3{where}", body, status=None))
            refused = [answer for answer in answers if answer.get("errcode") == "M_LIMIT_EXCEEDED"]
            assert refused, path
            assert all(answer["retry_after_ms"] > 0 for answer in refused)
