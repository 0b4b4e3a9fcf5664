"""Handshakes with anything instead of what belongs there: refused, and never an error of ours."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.handshakes import V1, V2, make, path, signed
from tests.support.homeserver import Homeserver
from tests.support.remote_invites import OtherRoom
from tests.support.remote_server import RemoteServer

REMOTE = "remote.example"
BOB = f"@bob:{REMOTE}"
JUNK: tuple[Any, ...] = (
    None,
    True,
    -1,
    1.5,
    2**53,
    10**30,
    "",
    "\0",
    "x" * 70_000,
    "@a:b",
    "$x",
    "!x",
    "\u2028",
    [],
    [[]],
    [None],
    {},
    {"": ""},
    {"a": {"b": [1.5]}},
    {"remote.example": {"ed25519:1": "x"}},
)
EACH = 50


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something could be exchanged."""
    if at:
        yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*at, key))


def mutated(rng: random.Random, value: Any) -> Any:
    """A copy with one thing exchanged, gone, or more than there should be."""
    value = copy.deepcopy(value)
    *parents, last = rng.choice(list(places(value)))
    inside = value
    for key in parents:
        inside = inside[key]
    if rng.random() < 0.2:
        del inside[last]
    elif rng.random() < 0.1 and isinstance(inside, dict):
        inside[str(rng.choice(JUNK))] = rng.choice(JUNK)
    else:
        inside[last] = rng.choice(JUNK)
    return value


@pytest.mark.parametrize("version", ["2", "10", "12"])
@pytest.mark.one_database
async def test_anything(server: Homeserver, remote: RemoteServer, version: str) -> None:
    rng = random.Random(int(version))
    alice = await server.register("alice")
    room_id = await alice.create_room(preset="public_chat", room_version=version)
    template = await make(remote, server, "join", room_id, BOB)
    event_id, join = signed(remote, template)
    other = OtherRoom(remote, version)
    invite = other.membership(alice.user_id, "invite")
    body = {"room_version": version, "event": invite.pdu, "invite_room_state": other.shown}
    where = path(other.room_id, invite.event_id)
    refused = 0
    for _ in range(EACH):
        event = mutated(rng, join)
        for url, content in (
            (f"{V2}/send_join{path(room_id, event_id)}?omit_members=true", event),
            (f"{V1}/send_leave{path(room_id, event_id)}", event),
            (f"{V1}/send_knock{path(room_id, event_id)}", event),
            (f"{V2}/invite{where}", mutated(rng, body)),
            (f"{V1}/invite{where}", {**event, "unsigned": mutated(rng, {"invite_room_state": other.shown})}),
        ):
            response = await remote.raw(server, "PUT", url, content)
            assert response.status_code < 500, (url, content, response.text)
            refused += response.status_code != 200
        await server.services.federation.received_invites.end(event)
        await server.services.federation.received_invites.end(mutated(rng, invite.pdu))
    assert refused > EACH
    news = await alice.get("/sync")
    assert room_id in news["rooms"]["join"]
