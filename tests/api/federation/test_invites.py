"""Users of ours who are invited to rooms of other servers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.federation.test_joins import BOB, CAROL, REMOTE
from tests.support.handshakes import V2, become, path
from tests.support.homeserver import Client, Homeserver
from tests.support.remote_invites import OtherRoom
from tests.support.remote_server import RemoteServer

LEFT = '{"room":{"include_leave":true}}'


async def invites(client: Client) -> dict[str, list[dict[str, Any]]]:
    news = await client.get("/sync")
    told = news.get("rooms", {}).get("invite", {})
    return {room_id: room["invite_state"]["events"] for room_id, room in told.items()}


async def sliding(client: Client) -> dict[str, Any]:
    lists = {"a": {"ranges": [[0, 9]], "required_state": [], "timeline_limit": 1}}
    answer = await client.request(
        "POST", "/client/unstable/org.matrix.simplified_msc3575/sync", {"lists": lists}
    )
    rooms: dict[str, Any] = answer["rooms"]
    return rooms


@pytest.mark.parametrize("version", ["1", "5", "11", "12"])
async def test_an_invite(server: Homeserver, remote: RemoteServer, alice: Client, version: str) -> None:
    room = OtherRoom(remote, version)
    invite = room.membership(alice.user_id, "invite", is_direct=True)
    since = (await alice.get("/sync"))["next_batch"]
    answer = await room.invite(server, invite)
    signatures = answer["event"]["signatures"]
    assert set(signatures) == {REMOTE, "hs1.test"}
    assert {**answer["event"], "signatures": invite.pdu["signatures"]} == invite.pdu
    news = await alice.get(f"/sync?since={since}")
    assert (
        news["rooms"]["invite"][room.room_id]["invite_state"]["events"]
        == (await invites(alice))[room.room_id]
    )
    create, name, member = (await invites(alice))[room.room_id]
    assert create["origin_server_ts"] == room.shown[0]["origin_server_ts"]
    assert name == {"type": "m.room.name", "state_key": "", "sender": BOB, "content": {"name": "tea"}}
    assert member["content"] == {"membership": "invite", "is_direct": True}
    assert (await sliding(alice))[room.room_id]["invite_state"] == [create, name, member]
    assert await room.invite(server, invite) == answer
    assert "invite" not in (await alice.get(f"/sync?since={news['next_batch']}")).get("rooms", {})


async def test_as_the_first_version_has_it(server: Homeserver, remote: RemoteServer, alice: Client) -> None:
    for version in ("1", "2"):
        room = OtherRoom(remote, version, name=f"v{version}")
        status, answer = await room.invite_v1(server, room.membership(alice.user_id, "invite"))
        assert status == 200
        assert answer["event"]["unsigned"] == {"invite_room_state": room.shown}
        kept = await server.services.history.outside_memberships.get(room.room_id, alice.user_id)
        assert kept is not None
        assert kept.room_version == version
    assert len(await invites(alice)) == 2


async def test_what_is_no_invite(server: Homeserver, remote: RemoteServer, alice: Client) -> None:
    room = OtherRoom(remote)
    user = alice.user_id
    good = room.membership(user, "invite")
    for event in (
        room.membership(user, "join"),
        room.membership(user, "leave"),
        room.membership("@alice:elsewhere", "invite"),
        room.membership("alice", "invite"),
        room.membership(user, "invite", sender="@eve:elsewhere"),
        room.event("m.room.member", None, {"membership": "invite"}),
        room.event("m.room.name", user, {"membership": "invite"}),
    ):
        await room.invite(server, event, status=400)
    for changed in (
        {"signatures": {}},
        {"content": {"membership": "invite", "reason": "?"}},
        {"hashes": {"sha256": "x"}},
        {"depth": "5"},
    ):
        await room.invite(server, good, event={**good.pdu, **changed}, status=400)
    answer = await room.invite(server, good, room_version="99", status=400)
    assert (answer["errcode"], answer["room_version"]) == ("M_INCOMPATIBLE_ROOM_VERSION", "99")
    other = OtherRoom(remote, name="other")
    url = f"{V2}/invite{path(other.room_id, good.event_id)}"
    await remote.ask(server, "PUT", url, {"room_version": "11", "event": good.pdu}, status=400)
    unknown = room.membership("@nobody:hs1.test", "invite")
    assert (await room.invite(server, unknown, status=404))["errcode"] == "M_NOT_FOUND"
    assert await invites(alice) == {}


async def test_what_is_shown(server: Homeserver, remote: RemoteServer, alice: Client) -> None:
    deep: Any = 1
    for _ in range(150):
        deep = [deep]
    room = OtherRoom(remote)
    plain = {"type": "m.room.topic", "state_key": "", "sender": BOB, "content": {"topic": "x", "f": 1.5}}
    useless = [
        1,
        {},
        {**plain, "sender": "bob"},
        {**plain, "content": 1},
        {**plain, "type": "deep", "content": {"deep": deep}},
        room.event("m.room.message", None, {}).pdu,
        *({**plain, "state_key": "x" * number, "content": {"x": "y" * 5000}} for number in range(1, 100)),
    ]
    invite = room.membership(alice.user_id, "invite")
    await room.invite(server, invite, shown=[plain, *room.shown, *useless])
    create, *others, member = (await invites(alice))[room.room_id]
    assert create["type"] == "m.room.create"
    assert plain in others
    assert len(others) < 50
    assert member["type"] == "m.room.member"


async def test_rooms_that_are_named_by_their_create_event(
    server: Homeserver, remote: RemoteServer, alice: Client
) -> None:
    room, other = OtherRoom(remote, "12"), OtherRoom(remote, "12", inviter=CAROL)
    invite = room.membership(alice.user_id, "invite")
    for shown in (other.shown, [*room.shown, {"type": "m.room.name"}], [{**room.shown[0], "content": {}}]):
        answer = await room.invite(server, invite, shown=shown, status=400)
        assert answer["errcode"] == "M_INVALID_PARAM"
    await room.invite(server, invite, shown=[])
    assert len((await invites(alice))[room.room_id]) == 1


async def test_whose_invites_are_wanted(server: Homeserver, remote: RemoteServer, alice: Client) -> None:
    room = OtherRoom(remote)
    data = f"/user/{alice.user_id}/account_data/"
    await alice.put(f"{data}m.invite_permission_config", {"default_action": "block"})
    answer = await room.invite(server, room.membership(alice.user_id, "invite"), status=403)
    assert answer["errcode"] == "M_INVITE_BLOCKED"
    await alice.put(f"{data}m.invite_permission_config", {})
    await alice.put(f"{data}m.ignored_user_list", {"ignored_users": {BOB: {}}})
    await room.invite(server, room.membership(alice.user_id, "invite"))
    assert await invites(alice) == {}
    assert await sliding(alice) == {}


async def test_taken_back(server: Homeserver, remote: RemoteServer, alice: Client) -> None:
    received = server.services.federation.received_invites
    room = OtherRoom(remote)
    await room.invite(server, room.membership(alice.user_id, "invite"))
    since = (await alice.get("/sync"))["next_batch"]
    for event in (
        room.membership(alice.user_id, "leave", sender=CAROL),
        room.membership(alice.user_id, "join"),
        room.membership("@nobody:hs1.test", "leave"),
        OtherRoom(remote, name="other").membership(alice.user_id, "leave"),
    ):
        assert not await received.end(event.pdu)
    leave = room.membership(alice.user_id, "leave", reason="mistake")
    assert not await received.end({**leave.pdu, "signatures": {}})
    assert not await received.end([])
    assert room.room_id in await invites(alice)
    assert await received.end(leave.pdu) == leave.event_id
    assert await received.end(leave.pdu) is None
    assert await invites(alice) == {}
    news = await alice.get(f"/sync?since={since}&filter={LEFT}")
    (told,) = news["rooms"]["leave"][room.room_id]["timeline"]["events"]
    assert (told["event_id"], told["content"]["reason"]) == (leave.event_id, "mistake")
    whole = await alice.get(f"/sync?filter={LEFT}")
    assert [item["event_id"] for item in whole["rooms"]["leave"][room.room_id]["timeline"]["events"]] == [
        leave.event_id
    ]
    assert await sliding(alice) == {}
    await alice.post(f"/rooms/{room.room_id}/forget")
    assert "rooms" not in await alice.get(f"/sync?filter={LEFT}")


async def test_what_was_taken_back_before_and_is_told_late(
    server: Homeserver, remote: RemoteServer, alice: Client
) -> None:
    received = server.services.federation.received_invites
    room = OtherRoom(remote)
    leave = room.membership(alice.user_id, "leave")
    again = room.membership(alice.user_id, "invite", after=[leave])
    await room.invite(server, again)
    assert await received.end(leave.pdu) is None
    assert room.room_id in await invites(alice)


async def test_to_a_room_that_somebody_of_ours_is_in(
    server: Homeserver, remote: RemoteServer, alice: Client
) -> None:
    room_id = await alice.create_room(preset="public_chat", room_version="11")
    await become(remote, server, "join", room_id, BOB)
    dora = await server.register("dora")
    room = OtherRoom(remote)
    room.room_id = room_id
    answer = await room.invite(server, room.membership(dora.user_id, "invite"), shown=[])
    assert "hs1.test" in answer["event"]["signatures"]
    assert await invites(dora) == {}, "the room's own events say so, once they are here"


async def test_too_many(
    server: Homeserver, remote: RemoteServer, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("palpo.services.history.outside_memberships.MAX_INVITES", 2)
    rooms = [OtherRoom(remote, name=f"room{number}") for number in range(3)]
    for room in rooms[:2]:
        await room.invite(server, room.membership(alice.user_id, "invite"))
    answer = await rooms[2].invite(server, rooms[2].membership(alice.user_id, "invite"), status=429)
    assert answer["errcode"] == "M_LIMIT_EXCEEDED"
