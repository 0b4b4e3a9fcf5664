"""Users of other servers who knock, and who leave."""

from __future__ import annotations

from tests.api.federation.test_joins import BOB, membership
from tests.support.handshakes import become, make, send, signed
from tests.support.homeserver import Client, Homeserver
from tests.support.remote_server import RemoteServer


async def knocking(alice: Client, version: str = "11", rule: str = "knock") -> str:
    content = {"join_rule": rule}
    return await alice.create_room(
        preset="private_chat",
        room_version=version,
        name="Tea",
        initial_state=[{"type": "m.room.join_rules", "state_key": "", "content": content}],
    )


async def test_a_knock(server: Homeserver, remote: RemoteServer) -> None:
    alice = await server.register("alice")
    room_id = await knocking(alice)
    answer = await become(remote, server, "knock", room_id, BOB)
    shown = {pdu["type"]: pdu for pdu in answer["knock_room_state"]}
    assert set(shown) == {"m.room.create", "m.room.name", "m.room.join_rules"}
    assert shown["m.room.create"]["signatures"]["hs1.test"]
    assert await membership(alice, room_id, BOB) == "knock"
    await become(remote, server, "knock", room_id, BOB)
    template = await make(remote, server, "knock", room_id, BOB)
    for wrong in ({"content": {"membership": "join"}}, {"state_key": alice.user_id}):
        await send(remote, server, "knock", room_id, signed(remote, template, **wrong), status=400)
    assert await become(remote, server, "leave", room_id, BOB) == {}
    assert await membership(alice, room_id, BOB) == "leave"


async def test_where_nobody_can(server: Homeserver, remote: RemoteServer) -> None:
    alice = await server.register("alice")
    closed = await knocking(alice, rule="invite")
    await make(remote, server, "knock", closed, BOB, status=403)
    old = await alice.create_room(preset="private_chat", room_version="6")
    await make(remote, server, "knock", old, BOB, status=403)
    room_id = await knocking(alice)
    answer = await make(remote, server, "knock", room_id, BOB, query="ver=7", status=400)
    assert answer["errcode"] == "M_INCOMPATIBLE_ROOM_VERSION"
    await make(remote, server, "knock", room_id, BOB, query="", status=400)
    template = await make(remote, server, "knock", room_id, BOB)
    await alice.post(f"/rooms/{room_id}/ban", {"user_id": BOB})
    await make(remote, server, "knock", room_id, BOB, status=403)
    await send(remote, server, "knock", room_id, signed(remote, template), status=403)
    await make(remote, server, "knock", "!none:hs1.test", BOB, status=404)


async def test_leaving_without_having_been_there(server: Homeserver, remote: RemoteServer) -> None:
    alice = await server.register("alice")
    room_id = await alice.create_room(preset="public_chat")
    await make(remote, server, "leave", room_id, BOB, query="", status=403)
    await become(remote, server, "join", room_id, BOB)
    template = await make(remote, server, "leave", room_id, BOB, query="")
    assert template["event"]["content"] == {"membership": "leave"}
    event = signed(remote, template)
    await send(remote, server, "leave", room_id, event)
    await send(remote, server, "leave", room_id, event)
    assert await membership(alice, room_id, BOB) == "leave"
    await make(remote, server, "leave", room_id, BOB, query="", status=403)
