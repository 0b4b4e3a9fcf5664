"""What other servers are shown: nothing that they may not see."""

from __future__ import annotations

from typing import Any

import pytest

from palpo.core.state_keys import MEMBER
from palpo.wire.endpoint import Auth, Endpoint
from palpo.wire.registry import endpoints
from tests.security.test_acls import url
from tests.support.homeserver import Client, Homeserver
from tests.support.remote_server import RemoteServer
from tests.support.remote_users import BOB, Remote

ASKING = [
    item
    for item in endpoints()
    if (
        item.auth is Auth.SERVER
        and (item.method == "GET" or item.operation_id in ("getMissingPreviousEvents", "queryPublicRooms"))
    )
    or item.operation_id == "msc2836.federated_event_relationships"
]
SECRET = "nobody else's business"


async def asked(
    server: Homeserver, remote: RemoteServer, endpoint: Endpoint[Any, Any, Any], room_id: str, event_id: str
) -> str:
    """All that is answered at an endpoint about an event, or what is before it."""
    bodies: dict[str, Any] = {
        "getMissingPreviousEvents": {"earliest_events": [], "latest_events": [event_id], "limit": 100},
        "msc2836.federated_event_relationships": {"event_id": event_id, "limit": 100, "include_parent": True},
    }
    body = bodies.get(endpoint.operation_id, None if endpoint.method == "GET" else {})
    found = []
    for path in endpoint.paths:
        where = url(endpoint, path, room_id, event_id).replace("limit=1", "limit=100")
        told = await remote.raw(server, endpoint.method, where, body)
        assert told.status_code < 500, told.text
        found.append(told.text)
    return "".join(found)


@pytest.mark.parametrize("endpoint", ASKING, ids=lambda endpoint: endpoint.operation_id)
@pytest.mark.parametrize("who", ["a stranger", "invited", "gone", "banned"])
async def test_what_is_served_is_filtered_by_server_can_see(
    server: Homeserver, remote: RemoteServer, alice: Client, endpoint: Endpoint[Any, Any, Any], who: str
) -> None:
    room_id = await alice.create_room(preset="private_chat")
    room = Remote(server, room_id)
    await alice.put(f"/rooms/{room_id}/state/m.room.history_visibility", {"history_visibility": "joined"})
    if who != "a stranger":
        await room.send(await room.event("@alice:hs1.test", (MEMBER, BOB), {"membership": "invite"}))
    if who in ("gone", "banned"):
        await room.send(await room.event(BOB, (MEMBER, BOB), {"membership": "join"}))
        await room.send(await room.event(BOB, (MEMBER, BOB), {"membership": "leave"}))
    if who == "banned":
        await alice.post(f"/rooms/{room_id}/ban", {"user_id": BOB})
    said = await alice.send(room_id, SECRET)
    last = await alice.send(room_id, SECRET)
    assert SECRET not in await asked(server, remote, endpoint, room_id, said)
    assert SECRET not in await asked(server, remote, endpoint, room_id, last)


@pytest.mark.parametrize("endpoint", ASKING, ids=lambda endpoint: endpoint.operation_id)
@pytest.mark.parametrize("visibility", ["joined", "invited"])
async def test_what_was_before_a_servers_users_came_is_redacted(
    server: Homeserver,
    remote: RemoteServer,
    alice: Client,
    endpoint: Endpoint[Any, Any, Any],
    visibility: str,
) -> None:
    room_id = await alice.create_room(preset="public_chat")
    room = Remote(server, room_id)
    await alice.put(f"/rooms/{room_id}/state/m.room.history_visibility", {"history_visibility": visibility})
    before = await alice.send(room_id, SECRET)
    await room.send(await room.event(BOB, (MEMBER, BOB), {"membership": "join"}))
    last = await alice.send(room_id, "for all who are here")
    for event_id in (before, last):
        assert SECRET not in await asked(server, remote, endpoint, room_id, event_id)
    told = await asked(server, remote, endpoint, room_id, last)
    if endpoint.operation_id in ("backfillRoom", "getEvent"):
        assert "for all who are here" in told
