"""Servers that a room's ACL shuts out: at no endpoint are they answered about it, or listened to."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

import pytest

from palpo.core.state_keys import MEMBER
from palpo.wire.endpoint import Auth, Endpoint
from palpo.wire.registry import endpoints
from tests.support.homeserver import Client, Homeserver
from tests.support.remote_server import RemoteServer
from tests.support.remote_users import BOB, SERVER, Remote

V1 = "/_matrix/federation/v1"
QUERY = {
    "v": "{event_id}",
    "limit": 1,
    "event_id": "{event_id}",
    "ts": 1,
    "dir": "b",
    "ver": 11,
}


def of_servers() -> list[Endpoint[Any, Any, Any]]:
    return [item for item in endpoints() if item.auth is Auth.SERVER]


ABOUT_ROOMS = [item for item in of_servers() if "room_id" in item.params.__struct_fields__]
OTHERS = {
    "askPolicyServerToSign", "getContent", "getContentThumbnail", "getPublicRooms", "queryPublicRooms",
    "queryRoomDirectory", "queryProfile", "queryInfo", "getUserDevices", "claimUserEncryptionKeys",
    "queryUserEncryptionKeys",
    # The room is that of the event, or of each PDU and EDU.
    "getEvent", "msc2836.federated_event_relationships", "sendTransaction",
}  # fmt: skip
"""Operations that are not about one room by its ID."""


def url(endpoint: Endpoint[Any, Any, Any], path: str, room_id: str, event_id: str) -> str:
    """With all that the endpoint may want to know."""
    values = {"{room_id}": room_id, "{event_id}": event_id, "{user_id}": BOB}
    for name, value in values.items():
        path = path.replace(name, quote(value, safe=""))
    query = {key: str(value).replace("{event_id}", event_id) for key, value in QUERY.items()}
    named = {key: value for key, value in query.items() if key in endpoint.params.__struct_fields__}
    named = {key: value for key, value in named.items() if f"{{{key}}}" not in endpoint.paths[0]}
    return f"{path}?{urlencode(named)}" if named else path


def test_every_room_scoped_endpoint_is_known() -> None:
    assert {item.operation_id for item in of_servers()} == OTHERS | {
        item.operation_id for item in ABOUT_ROOMS
    }


@pytest.mark.parametrize("endpoint", ABOUT_ROOMS, ids=lambda endpoint: endpoint.operation_id)
async def test_acls_on_every_room_scoped_endpoint(
    server: Homeserver, remote: RemoteServer, alice: Client, endpoint: Endpoint[Any, Any, Any]
) -> None:
    room_id = await alice.create_room(preset="public_chat")
    room = Remote(server, room_id)
    await room.send(await room.event(BOB, (MEMBER, BOB), {"membership": "join"}))
    event_id = await alice.send(room_id, "hello")
    body = None if endpoint.method == "GET" else {}
    paths = [url(endpoint, path, room_id, event_id) for path in endpoint.paths]
    for path in paths:
        told = await remote.ask(server, endpoint.method, path, body, status=None)
        assert told.get("error") != "The room does not let your server take part", told
    await alice.put(f"/rooms/{room_id}/state/m.room.server_acl", {"allow": ["*"], "deny": [SERVER]})
    for path in paths:
        told = await remote.ask(server, endpoint.method, path, body, status=403)
        assert told["errcode"] == "M_FORBIDDEN"
        assert told["error"] == "The room does not let your server take part"


async def test_acls_where_the_room_is_that_of_an_event(
    server: Homeserver, remote: RemoteServer, alice: Client
) -> None:
    room_id = await alice.create_room(preset="public_chat")
    room = Remote(server, room_id)
    await room.send(await room.event(BOB, (MEMBER, BOB), {"membership": "join"}))
    event_id = await alice.send(room_id, "the secret")
    path = f"{V1}/event/{quote(event_id, safe='')}"
    related = "/_matrix/federation/unstable/event_relationships"
    question = {"event_id": event_id, "direction": "down", "limit": 10}
    assert (await remote.ask(server, "GET", path))["pdus"]
    assert (await remote.ask(server, "POST", related, question))["events"]
    await alice.put(f"/rooms/{room_id}/state/m.room.server_acl", {"allow": ["*"], "deny": [SERVER]})
    await remote.ask(server, "GET", path, status=403)
    told = await remote.raw(server, "POST", related, question)
    assert told.status_code in (403, 404)
    assert "the secret" not in told.text


async def test_acls_for_pdus_and_edus_of_transactions(
    server: Homeserver, remote: RemoteServer, alice: Client
) -> None:
    rooms = [await alice.create_room(preset="public_chat") for _ in range(2)]
    pdus, edus = [], []
    for room_id in rooms:
        room = Remote(server, room_id)
        await room.send(await room.event(BOB, (MEMBER, BOB), {"membership": "join"}))
        pdus.append((await room.event(BOB, "m.room.message", {"body": room_id})).pdu)
        edus.append({"edu_type": "m.typing", "content": {"room_id": room_id, "user_id": BOB, "typing": True}})
        event_id = await alice.send(room_id, "hello")
        read = {room_id: {"m.read": {BOB: {"event_ids": [event_id], "data": {"ts": 1}}}}}
        edus.append({"edu_type": "m.receipt", "content": read})
    denied = rooms[0]
    await alice.put(f"/rooms/{denied}/state/m.room.server_acl", {"allow": ["*"], "deny": [SERVER]})
    body = {"origin": SERVER, "origin_server_ts": 1, "pdus": pdus, "edus": edus}
    await remote.ask(server, "PUT", f"{V1}/send/acl", body)
    synced = (await alice.get("/sync"))["rooms"]["join"]
    for room_id in rooms:
        shown = [item["content"].get("body") for item in synced[room_id]["timeline"]["events"]]
        told = {item["type"] for item in synced[room_id]["ephemeral"]["events"]}
        assert (room_id in shown) == (room_id != denied)
        assert told == (set() if room_id == denied else {"m.typing", "m.receipt"})
