"""Users of other servers who join rooms that are here."""

from __future__ import annotations

from typing import Any

import pytest

from palpo.core.event_hashes import event_id_of
from palpo.core.room_versions import room_version
from palpo.services.federation.serving import served_state
from palpo.services.history import event_store
from tests.support.handshakes import V1, become, make, send, signed
from tests.support.homeserver import Client, Homeserver
from tests.support.remote_server import RemoteServer

REMOTE = "remote.example"
BOB, CAROL = f"@bob:{REMOTE}", f"@carol:{REMOTE}"


def ids(version: str, pdus: list[dict[str, Any]]) -> set[str]:
    return {event_id_of(room_version(version), pdu) for pdu in pdus}


def keys(pdus: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return sorted((pdu["type"], pdu["state_key"]) for pdu in pdus)


async def membership(client: Client, room_id: str, user_id: str) -> str:
    content = await client.get(f"/rooms/{room_id}/state/m.room.member/{user_id}")
    return str(content["membership"])


@pytest.mark.parametrize("version", ["1", "3", "6", "10", "11", "12"])
async def test_a_join(server: Homeserver, remote: RemoteServer, alice: Client, version: str) -> None:
    room_id = await alice.create_room(preset="public_chat", room_version=version, name="Tea")
    template = await make(remote, server, "join", room_id, BOB)
    event = template["event"]
    assert template["room_version"] == version
    assert (event["type"], event["sender"], event["state_key"], event["room_id"], event["content"]) == (
        "m.room.member",
        BOB,
        BOB,
        room_id,
        {"membership": "join"},
    )
    assert not {"hashes", "signatures", "event_id"} & set(event)
    since = (await alice.get("/sync"))["next_batch"]
    event_id, pdu = signed(remote, template)
    answer = await send(remote, server, "join", room_id, (event_id, pdu))
    assert set(answer["event"]["signatures"]) == {REMOTE, "hs1.test"}
    assert {**answer["event"], "signatures": pdu["signatures"]} == pdu
    assert answer["origin"] == "hs1.test"
    assert "members_omitted" not in answer
    state = await alice.get(f"/rooms/{room_id}/state")
    expected = {item["event_id"] for item in state} - {event_id}
    assert ids(version, answer["state"]) == expected
    rests_on = {("m.room.power_levels", ""), ("m.room.member", alice.user_id)}
    assert rests_on <= set(keys(answer["auth_chain"]))
    assert event_id not in ids(version, answer["auth_chain"])
    news = await alice.get(f"/sync?since={since}")
    (told,) = news["rooms"]["join"][room_id]["timeline"]["events"]
    assert (told["event_id"], told["sender"]) == (event_id, BOB)
    assert await send(remote, server, "join", room_id, (event_id, pdu), query="?x=1") == answer


async def test_as_the_first_version_had_it(server: Homeserver, remote: RemoteServer, alice: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    status, answer = await become(remote, server, "join", room_id, BOB, prefix=V1)
    assert status == 200
    assert len(answer["state"]) == 5
    assert await membership(alice, room_id, BOB) == "join"
    assert await become(remote, server, "leave", room_id, BOB, prefix=V1) == [200, {}]
    assert await membership(alice, room_id, BOB) == "leave"


async def test_without_most_members(server: Homeserver, remote: RemoteServer, alice: Client) -> None:
    others = [await server.register(f"u{number}") for number in range(7)]
    room_id = await alice.create_room(preset="public_chat")
    for other in others:
        await other.post(f"/join/{room_id}")
    options = {"query": "?omit_members=true"}
    answer = await become(remote, server, "join", room_id, BOB, **options)
    assert answer["members_omitted"] is True
    assert answer["servers_in_room"] == ["hs1.test"]
    heroes = [alice.user_id, *(other.user_id for other in others[:4])]
    assert keys(answer["state"]) == sorted(
        [
            ("m.room.create", ""),
            ("m.room.history_visibility", ""),
            ("m.room.join_rules", ""),
            ("m.room.power_levels", ""),
            *(("m.room.member", user_id) for user_id in heroes),
        ]
    )
    assert answer["auth_chain"] == []

    await alice.put(f"/rooms/{room_id}/state/m.room.name", {"name": "Tea"})
    answer = await become(remote, server, "join", room_id, CAROL, **options)
    assert answer["servers_in_room"] == ["hs1.test", REMOTE]
    assert [key for key in keys(answer["state"]) if key[0] == "m.room.member"] == []
    assert keys(answer["auth_chain"]) == [("m.room.member", alice.user_id)]


async def test_a_state_that_is_read_in_parts(
    server: Homeserver, remote: RemoteServer, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_store, "PART", 3)
    monkeypatch.setattr(served_state, "AT_ONCE", 2)
    room_id = await alice.create_room(preset="public_chat", room_version="11", name="Tea")
    for number in range(40):
        await alice.put(f"/rooms/{room_id}/state/x/{number}", {"number": number})
    expected = {item["event_id"] for item in await alice.get(f"/rooms/{room_id}/state")}
    answer = await become(remote, server, "join", room_id, BOB)
    assert len(answer["state"]) == len(expected)
    assert ids("11", answer["state"]) == expected
    answer = await become(remote, server, "join", room_id, CAROL, query="?omit_members=true")
    assert len(answer["state"]) == len(expected) - 1


async def test_who_may_not(server: Homeserver, remote: RemoteServer, alice: Client) -> None:
    room_id = await alice.create_room(preset="public_chat", room_version="11")
    closed = await alice.create_room(preset="private_chat", room_version="11")
    await alice.post(f"/rooms/{room_id}/ban", {"user_id": BOB})
    for target, user_id, status in (
        (room_id, BOB, 403),
        (closed, CAROL, 403),
        (room_id, alice.user_id, 403),
        ("!none:hs1.test", CAROL, 404),
    ):
        await make(remote, server, "join", target, user_id, status=status)
    answer = await make(remote, server, "join", room_id, CAROL, query="ver=1&ver=12", status=400)
    assert (answer["errcode"], answer["room_version"]) == ("M_INCOMPATIBLE_ROOM_VERSION", "11")
    answer = await make(remote, server, "join", room_id, CAROL, query="", status=400)
    assert answer["errcode"] == "M_INCOMPATIBLE_ROOM_VERSION"

    template = await make(remote, server, "join", room_id, CAROL)
    event = signed(remote, template, sender=BOB, state_key=BOB)
    answer = await send(remote, server, "join", room_id, event, status=403)
    assert answer["errcode"] == "M_FORBIDDEN"
    assert await membership(alice, room_id, BOB) == "ban"
    assert await server.services.history.events.find(event[0]) is None, "it is not even stored"

    await alice.post(f"/rooms/{room_id}/leave")
    await make(remote, server, "join", room_id, CAROL, status=404)
    await send(remote, server, "join", room_id, signed(remote, template), status=404)


async def test_events_that_are_something_else(
    server: Homeserver, remote: RemoteServer, alice: Client
) -> None:
    room_id = await alice.create_room(preset="public_chat", room_version="11")
    other = await alice.create_room(preset="public_chat", room_version="11")
    template = await make(remote, server, "join", room_id, BOB)
    good = signed(remote, template)
    wrong: list[tuple[str, dict[str, Any]]] = [
        signed(remote, template, type="m.room.message"),
        signed(remote, template, content={"membership": "leave"}),
        signed(remote, template, content={}),
        signed(remote, template, state_key=CAROL),
        signed(remote, template, sender=alice.user_id, state_key=alice.user_id),
        signed(remote, template, room_id=other),
        signed(remote, template, prev_events=["$unknown"]),
        signed(remote, template, auth_events=["$unknown"]),
        signed(remote, template, depth=-1),
        ("$other", good[1]),
        (good[0], {**good[1], "signatures": {}}),
        (good[0], {**good[1], "signatures": {REMOTE: {"ed25519:1": "A" * 86}}}),
        (good[0], {**good[1], "signatures": {"hs1.test": 1}}),
        (good[0], {**good[1], "content": {"membership": "join", "displayname": "B"}}),
        (good[0], {**good[1], "hashes": 1}),
        (good[0], {}),
    ]
    for event in wrong:
        await send(remote, server, "join", room_id, event, status=400)
    await send(remote, server, "leave", room_id, good, status=400)
    await send(remote, server, "join", room_id, good)
    assert await membership(alice, room_id, BOB) == "join"


async def restricted(alice: Client, *allowed: str, version: str = "10", **levels: Any) -> str:
    rule = {"join_rule": "restricted", "allow": [_condition(room_id) for room_id in allowed]}
    return await alice.create_room(
        preset="private_chat",
        room_version=version,
        initial_state=[{"type": "m.room.join_rules", "state_key": "", "content": rule}],
        power_level_content_override=levels,
    )


def _condition(room_id: str) -> dict[str, str]:
    return {"type": "m.room_membership", "room_id": room_id}


async def test_restricted_joins(server: Homeserver, remote: RemoteServer, alice: Client) -> None:
    space = await alice.create_room(preset="public_chat")
    room_id = await restricted(alice, space)
    answer = await make(remote, server, "join", room_id, BOB, status=403)
    assert answer["errcode"] == "M_FORBIDDEN"
    await become(remote, server, "join", space, BOB)
    template = await make(remote, server, "join", room_id, BOB)
    assert template["event"]["content"] == {
        "membership": "join",
        "join_authorised_via_users_server": alice.user_id,
    }
    event_id, pdu = signed(remote, template)
    assert set(pdu["signatures"]) == {REMOTE}
    await become(remote, server, "leave", space, BOB)
    await send(remote, server, "join", room_id, (event_id, pdu), status=403)
    await become(remote, server, "join", space, BOB)
    answer = await send(remote, server, "join", room_id, (event_id, pdu))
    assert set(answer["event"]["signatures"]) == {REMOTE, "hs1.test"}


async def test_restricted_joins_that_others_have_to_grant(
    server: Homeserver, remote: RemoteServer, alice: Client
) -> None:
    space = await alice.create_room(preset="public_chat")
    await become(remote, server, "join", space, BOB)
    helpless = await restricted(alice, space, invite=100, users={alice.user_id: 100, CAROL: 100})
    await alice.put(f"/rooms/{helpless}/state/m.room.power_levels", {"invite": 100, "users": {CAROL: 100}})
    answer = await make(remote, server, "join", helpless, BOB, status=400)
    assert answer["errcode"] == "M_UNABLE_TO_GRANT_JOIN"
    unknown = await restricted(alice, "!elsewhere:remote.example")
    answer = await make(remote, server, "join", unknown, BOB, status=400)
    assert answer["errcode"] == "M_UNABLE_TO_AUTHORISE_JOIN"
    left = await restricted(alice, space)
    await alice.post(f"/rooms/{space}/leave")
    answer = await make(remote, server, "join", left, BOB, status=400)
    assert answer["errcode"] == "M_UNABLE_TO_AUTHORISE_JOIN", "what is known of it may be out of date"
    nothing = await restricted(alice)
    await make(remote, server, "join", nothing, BOB, status=403)
