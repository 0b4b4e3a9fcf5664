"""Odd input to what reads and writes history never ends in a failure of the server."""

from __future__ import annotations

from itertools import product

import pytest

from tests.support.homeserver import Client, Homeserver
from tests.support.rooms import make_room

ODD = ["%00", "$" + "x" * 300, "%F0%9F%90%B8", "$a%00b", "%2F", "!x", "$x%22%5C", "s1"]
NUMBERS = ["-1", "0", "99999999999999999999999", "1e3", "x", ""]
READ = ["messages?dir=b", "initialSync", "threads", "timestamp_to_event?ts=1&dir=f"]


@pytest.mark.parametrize("odd", ODD)
async def test_odd_identifiers(server: Homeserver, alice: Client, odd: str) -> None:
    room_id = await make_room(server, alice)
    paths = [f"/client/v3/rooms/{odd}/{path}" for path in READ]
    paths += [f"/client/v1/rooms/{odd}/{path}" for path in READ]
    paths += [f"/client/v3/rooms/{room_id}/{kind}/{odd}" for kind in ("event", "context")]
    paths += [f"/client/v1/rooms/{room_id}/relations/{odd}"]
    paths += [f"/client/v3/events/{odd}", f"/client/v3/events?room_id={odd}"]
    paths += [f"/client/unstable/io.element.msc4306/rooms/{room_id}/thread/{odd}/subscription"]
    root = await alice.send(room_id, "x")
    paths += [f"/client/v1/rooms/{room_id}/relations/{root}/{odd}/{odd}"]
    for path in paths:
        await _calm(alice, "GET", path)
    for path in (
        f"/client/v3/rooms/{room_id}/send/{odd}/{odd}",
        f"/client/v3/rooms/{room_id}/send/{odd}/{odd}?org.matrix.msc4140.delay=5000",
        f"/client/v3/rooms/{odd}/send/m.x/{odd}",
        f"/client/v3/rooms/{odd}/send/m.x/1?org.matrix.msc4140.delay=5000",
        f"/client/v3/rooms/{room_id}/state/m.x/{odd}?org.matrix.msc4140.delay=5000",
        f"/client/v3/rooms/{room_id}/redact/{odd}/{odd}",
        f"/client/unstable/io.element.msc4306/rooms/{room_id}/thread/{root}/subscription",
    ):
        await _calm(alice, "PUT", path, {"automatic": "\0" * 3, "redacts": "\0"})
    await _calm(alice, "POST", f"/client/unstable/org.matrix.msc4140/delayed_events/{odd}/send", {})


async def test_odd_relations_and_contents(server: Homeserver, alice: Client) -> None:
    room_id = await make_room(server, alice)
    root = await alice.send(room_id, "x")
    texts = ["\0", "$" + "x" * 300, "", "m.thread", "m.annotation"]
    for number, (rel_type, target) in enumerate(product([*texts, 1, None], [*texts, root, {}])):
        content = {"m.relates_to": {"rel_type": rel_type, "event_id": target, "key": "\0"}}
        await _calm(alice, "PUT", f"/client/v3/rooms/{room_id}/send/m.x/{number}", content)
    await alice.get(f"/rooms/{room_id}/messages", params={"dir": "f", "limit": 100})


@pytest.mark.parametrize("number", NUMBERS)
async def test_odd_numbers_and_tokens(server: Homeserver, alice: Client, number: str) -> None:
    room_id = await make_room(server, alice)
    root = await alice.send(room_id, "x")
    room = f"/client/v3/rooms/{room_id}"
    for path in (
        f"{room}/messages?dir=b&limit={number}",
        f"{room}/messages?dir=b&from=t{number}-{number}",
        f"{room}/messages?dir=f&from=s999999999999999999&to=t999999999999999999-999999999999999999",
        f"{room}/context/{root}?limit={number}",
        f"{room}/initialSync?limit={number}",
        f"/client/v3/events?from={number}&timeout={number}",
        f"/client/v1/rooms/{room_id}/timestamp_to_event?dir=b&ts={number}",
        f"/client/v1/rooms/{room_id}/threads?from=s999999999999999999&limit={number}",
        f"/client/v1/rooms/{room_id}/relations/{root}?limit={number}&from={number}",
        f'{room}/messages?dir=b&filter={{"limit":{number or 0},"related_by_rel_types":["\\u0000"]}}',
    ):
        await _calm(alice, "GET", path)
    await _calm(alice, "PUT", f"{room}/send/m.x/1?org.matrix.msc4140.delay={number}", {})


async def _calm(client: Client, method: str, path: str, body: object = None) -> None:
    headers = {"Authorization": f"Bearer {client.token}"}
    answer = await client.http.request(method, f"/_matrix{path}", json=body, headers=headers)
    assert answer.status_code < 500, (method, path, answer.text)
