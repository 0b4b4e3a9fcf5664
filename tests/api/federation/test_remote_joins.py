"""Users of ours join rooms of other servers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest

from palpo.core.state_keys import CREATE, JOIN_RULES, NAME
from palpo.services.federation.memberships import remote_join_answers
from tests.support.federation import Asked
from tests.support.homeserver import Client, Homeserver
from tests.support.pairs import Town
from tests.support.remote_rooms import RemoteRoom
from tests.support.remote_server import RemoteServer, remote_server
from tests.support.remote_users import BOB, SERVER
from tests.support.resident import FEDERATION, Resident, refusal

OTHER = "other.example"


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town.of(tmp_path, "hs1.test", SERVER, OTHER)


async def join(client: Client, room: RemoteRoom, *via: str, **options: Any) -> Any:
    return await client.post(f"/join/{room.room_id}", params={"via": via or (SERVER,)}, **options)


async def of_room(client: Client, room: RemoteRoom) -> Any:
    return (await client.get("/sync"))["rooms"]["join"][room.room_id]


@pytest.mark.parametrize("version", ["1", "3", "10", "12"])
async def test_a_join(alice: Client, remote: RemoteServer, version: str) -> None:
    room = RemoteRoom(version)
    room.add(BOB, NAME, {"name": "Elsewhere"})
    resident = Resident(remote, room)
    assert await join(alice, room, json={"reason": "tea"}) == {"room_id": room.room_id}
    (event,) = resident.taken
    assert event.content == {"membership": "join", "displayname": "alice", "reason": "tea"}
    synced = await of_room(alice, room)
    assert [item["event_id"] for item in synced["timeline"]["events"]] == [event.event_id]
    assert {(item["type"], item["state_key"]) for item in synced["state"]["events"]} == (
        room.state.keys() - {event.key}
    )
    assert [asked.method for asked in resident.asked] == ["GET", "PUT"]
    assert await join(alice, room) == {"room_id": room.room_id}
    assert len(resident.asked) == 2


async def test_an_older_server(alice: Client, remote: RemoteServer) -> None:
    room = RemoteRoom("2")
    resident = Resident(remote, room, versions=[1])
    await join(alice, room)
    assert len(resident.taken) == 1
    assert await of_room(alice, room)


@pytest.mark.parametrize("refuses", ["unknown", "forbids", "nonsense", "silent"])
async def test_the_next_server_is_asked(
    town: Town, alice: Client, server: Homeserver, remote: RemoteServer, refuses: str
) -> None:
    room = RemoteRoom()
    resident = Resident(remote, room)
    async with remote_server(town, OTHER, now_ms=server.clock.now_ms) as other:
        answers: dict[str, Any] = {
            "unknown": refusal(404, "M_NOT_FOUND"),
            "forbids": refusal(403, "M_FORBIDDEN"),
            "nonsense": {"event": 1},
        }
        if refuses in answers:
            other.answers["GET", f"{FEDERATION}/v1/make_join/"] = answers[refuses]
        await join(alice, room, OTHER, "nowhere.example", "no name", "hs1.test", SERVER)
        assert len(other.asked) == 1
    assert len(resident.taken) == 1


@pytest.mark.parametrize(
    ("status", "errcode", "told", "as_"),
    [
        (403, "M_FORBIDDEN", 403, "M_FORBIDDEN"),
        (400, "M_INCOMPATIBLE_ROOM_VERSION", 400, "M_INCOMPATIBLE_ROOM_VERSION"),
        (400, "M_UNABLE_TO_AUTHORISE_JOIN", 400, "M_UNABLE_TO_AUTHORISE_JOIN"),
        (404, "M_NOT_FOUND", 404, "M_NOT_FOUND"),
        (500, "M_UNKNOWN", 404, "M_NOT_FOUND"),
        (401, "M_UNKNOWN_TOKEN", 403, "M_FORBIDDEN"),
        (403, "M_USER_LOCKED", 403, "M_FORBIDDEN"),
    ],
)
async def test_refusals(
    alice: Client, remote: RemoteServer, status: int, errcode: str, told: int, as_: str
) -> None:
    remote.answers["GET", f"{FEDERATION}/v1/make_join/"] = refusal(status, errcode)
    answer = await join(alice, RemoteRoom(), "nowhere.example", SERVER, status=told)
    assert answer["errcode"] == as_


async def test_nobody_to_ask(alice: Client) -> None:
    assert (await alice.post("/join/!room", status=404))["errcode"] == "M_NOT_FOUND"
    assert (await alice.post("/join/!room:nowhere.example", status=404))["errcode"] == "M_NOT_FOUND"
    assert (await alice.post("/join/!room:hs1.test", status=404))["errcode"] == "M_NOT_FOUND"


@pytest.mark.parametrize(
    "wrong",
    [
        {"sender": BOB},
        {"state_key": BOB},
        {"room_id": "!other:remote.example"},
        {"type": "m.room.power_levels"},
        {"content": {"membership": "leave"}},
        {"content": None},
        {"prev_events": [f"${number}" for number in range(21)]},
        {"auth_events": [1]},
        {"depth": -1},
        {"depth": "1"},
    ],
)
async def test_templates_of_something_else(
    alice: Client, remote: RemoteServer, wrong: dict[str, Any]
) -> None:
    resident = Resident(remote, RemoteRoom())
    resident.template = wrong
    await join(alice, resident.room, status=404)
    assert not resident.taken


async def test_what_is_taken_of_a_template(alice: Client, remote: RemoteServer) -> None:
    resident = Resident(remote, RemoteRoom())
    resident.template = {
        "content": {"membership": "join", "reason": "r", "more": 1},
        "redacts": "$x",
        "depth": 2**60,
    }
    await join(alice, resident.room)
    (event,) = resident.taken
    assert event.content == {"membership": "join", "displayname": "alice", "more": 1}
    assert event.depth == 2**53 - 1
    assert "redacts" not in event.pdu


async def test_twice_at_once_is_once(alice: Client, server: Homeserver, remote: RemoteServer) -> None:
    resident = Resident(remote, RemoteRoom())
    carol = await server.register("carol")
    room = resident.room
    await asyncio.gather(join(alice, room), join(alice, room), join(carol, room), join(carol, room))
    assert len(resident.asked) == 2
    joined = await alice.get(f"/rooms/{room.room_id}/joined_members")
    assert set(joined["joined"]) == {BOB, alice.user_id, carol.user_id}


async def test_a_join_that_fails_is_everybodys_own(
    alice: Client, server: Homeserver, remote: RemoteServer
) -> None:
    carol, room = await server.register("carol"), RemoteRoom()
    remote.answers["GET", f"{FEDERATION}/v1/make_join/"] = refusal(403, "M_FORBIDDEN")
    await asyncio.gather(join(alice, room, status=403), join(carol, room, status=403))
    assert sorted(asked.uri.split("/")[-1].split("?")[0] for asked in remote.asked) == [
        "%40alice%3Ahs1.test",
        "%40carol%3Ahs1.test",
    ]


@pytest.mark.parametrize(
    "told",
    [
        {"state": []},
        {"state": None},
        {"auth_chain": "\x00", "state": {}},
        {"members_omitted": True, "state": []},
        {"state": [RemoteRoom("12").state[CREATE].pdu]},
        {"state": [RemoteRoom().state[CREATE].pdu] * 2 + [RemoteRoom().event(BOB, NAME, {}).pdu] * 2},
    ],
)
async def test_rooms_that_cannot_be(alice: Client, remote: RemoteServer, told: dict[str, Any]) -> None:
    resident = Resident(remote, RemoteRoom())
    resident.told = told
    answer = await join(alice, resident.room, status=None)
    assert answer["errcode"] in ("M_NOT_FOUND", "M_FORBIDDEN")
    assert "rooms" not in await alice.get("/sync")
    resident.told = {}
    await join(alice, resident.room)
    assert await of_room(alice, resident.room)


async def test_a_room_of_another_version(alice: Client, remote: RemoteServer) -> None:
    resident = Resident(remote, RemoteRoom("10"))
    resident.version = "9"
    await join(alice, resident.room, status=404)
    assert "rooms" not in await alice.get("/sync")


async def test_a_join_that_the_room_does_not_allow(alice: Client, remote: RemoteServer) -> None:
    room = RemoteRoom()
    room.add(BOB, JOIN_RULES, {"join_rule": "invite"})
    Resident(remote, room)
    await join(alice, room, status=403)
    assert "rooms" not in await alice.get("/sync")


async def test_bad_events_cost_only_themselves(alice: Client, remote: RemoteServer) -> None:
    room = RemoteRoom()
    room.add(BOB, NAME, {"name": "Elsewhere"})
    resident = Resident(remote, room)
    name = room.state.pop(NAME)
    good = [item.pdu for item in room.state.values()]
    unsigned = {**name.pdu, "signatures": {}}
    resident.told = {"state": [*good, unsigned, {**name.pdu, "depth": 1.5}, None, "x", {}]}
    await join(alice, room)
    types = {item["type"] for item in (await of_room(alice, room))["state"]["events"]}
    assert "m.room.name" not in types
    assert "m.room.power_levels" in types


async def test_a_large_event_of_the_template(alice: Client, remote: RemoteServer) -> None:
    resident = Resident(remote, RemoteRoom())
    resident.template = {"content": {"membership": "join", "x": "x" * 70_000}}
    await join(alice, resident.room, status=413)


async def test_a_restricted_join(alice: Client, remote: RemoteServer) -> None:
    room = RemoteRoom("10")
    space = f"!space:{SERVER}"
    room.add(
        BOB,
        JOIN_RULES,
        {"join_rule": "restricted", "allow": [{"type": "m.room_membership", "room_id": space}]},
    )
    resident = Resident(remote, room)
    resident.authoriser = BOB
    for event in (None, {}, {"signatures": {SERVER: {"ed25519:1": "A" * 86}}}):
        resident.told = {"event": event}
        await join(alice, room, status=None)
        assert "rooms" not in await alice.get("/sync")
    resident.told = {}
    await join(alice, room)
    synced = await of_room(alice, room)
    assert synced["timeline"]["events"][0]["content"]["join_authorised_via_users_server"] == BOB


async def test_joining_again(alice: Client, remote: RemoteServer) -> None:
    resident = Resident(remote, RemoteRoom())
    room = resident.room
    await join(alice, room)
    await alice.post(f"/rooms/{room.room_id}/leave")
    since = (await alice.get("/sync"))["next_batch"]
    room.add(BOB, NAME, {"name": "Since then"})
    await join(alice, room)
    news = await alice.get("/sync", params={"since": since})
    joined = news["rooms"]["join"][room.room_id]
    assert joined["timeline"]["limited"] is True
    assert ("m.room.name", "") in {(item["type"], item["state_key"]) for item in joined["state"]["events"]}


async def test_guests_stay_here(server: Homeserver, remote: RemoteServer) -> None:
    guest = await server.client().post("/register", {}, params={"kind": "guest"})
    client = Client(server.http, guest["user_id"], guest["access_token"])
    answer = await join(client, Resident(remote, RemoteRoom()).room, status=403)
    assert answer["errcode"] == "M_GUEST_ACCESS_FORBIDDEN"
    assert not remote.asked


async def test_what_happens_while_the_answer_is_on_its_way(
    server: Homeserver, alice: Client, remote: RemoteServer
) -> None:
    """It is told of when the room is here."""
    resident = Resident(remote, RemoteRoom())
    room = resident.room

    async def slowly(asked: Asked) -> Any:
        answer = await resident.send(asked)
        event = room.add(BOB, "m.room.message", {"msgtype": "m.text", "body": "welcome"})
        content = {"origin": SERVER, "origin_server_ts": 1, "pdus": [event.pdu]}
        assert await remote.ask(server, "PUT", "/_matrix/federation/v1/send/1", content) == {"pdus": {}}
        return answer

    remote.answers["PUT", f"{FEDERATION}/v2/send_join/"] = slowly
    await join(alice, room)
    async with asyncio.timeout(20):
        while len(events := (await of_room(alice, room))["timeline"]["events"]) < 2:
            await alice.get("/sync", params={"timeout": 100})
    assert events[1]["content"]["body"] == "welcome"


async def test_large_rooms_have_their_turns(
    alice: Client, remote: RemoteServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three at once, which are given back, whatever comes of it."""
    monkeypatch.setattr(remote_join_answers, "LARGE", 10)
    for version in ("1", "3", "10", "11"):
        resident = Resident(remote, RemoteRoom(version))
        resident.told = {"auth_chain": [{}], "state": []}
        await join(alice, resident.room, status=404)
    resident.told = {}
    await join(alice, resident.room)


async def test_rooms_that_are_too_large(
    alice: Client, remote: RemoteServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_join_answers, "MAX_EVENTS", 5)
    resident = Resident(remote, RemoteRoom())
    await join(alice, resident.room, status=404)
    monkeypatch.setattr(remote_join_answers, "MAX_EVENTS", 20)
    await join(alice, resident.room)


@pytest.mark.parametrize("refused", [False, True])
async def test_an_invite_by_address(alice: Client, remote: RemoteServer, refused: bool) -> None:
    """Who can show that the address is theirs is invited by the inviting user's server first."""
    room = RemoteRoom()
    Resident(remote, room)
    path = f"{FEDERATION}/v1/exchange_third_party_invite/"
    remote.answers["PUT", path] = refusal(403, "M_FORBIDDEN") if refused else {}
    signed = {"mxid": alice.user_id, "sender": BOB, "token": "t", "signatures": {"id.example": {"k": "s"}}}
    await join(alice, room, json={"third_party_signed": signed})
    (exchange,) = [asked for asked in remote.asked if asked.uri.startswith(path)]
    body = orjson.loads(exchange.body)
    assert (body["sender"], body["state_key"], body["room_id"]) == (BOB, alice.user_id, room.room_id)
    assert body["content"]["third_party_invite"]["signed"] == signed
    assert (await of_room(alice, room))["timeline"]["events"]


async def test_a_server_that_never_answers_keeps_nobody_else_out(
    town: Town, alice: Client, server: Homeserver, remote: RemoteServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    carol, resident = await server.register("carol"), Resident(remote, RemoteRoom())
    room, over = resident.room, asyncio.Event()
    joins = server.services.rooms.memberships.remote._joins  # type: ignore[union-attr]
    monkeypatch.setattr(joins, "_patience_s", 0.01)

    async def never(asked: Asked) -> Any:
        await over.wait()
        return refusal(404, "M_NOT_FOUND")

    async with remote_server(town, OTHER, now_ms=server.clock.now_ms) as other:
        other.answers["GET", f"{FEDERATION}/v1/make_join/"] = never
        waiting = asyncio.create_task(join(alice, room, OTHER, status=None))
        while not other.asked:
            await carol.get("/sync", params={"timeout": 10})
        await join(carol, room)
        await join(alice, room)
        over.set()
        assert (await waiting)["errcode"] == "M_NOT_FOUND"
    joined = await alice.get(f"/rooms/{room.room_id}/joined_members")
    assert set(joined["joined"]) == {BOB, alice.user_id, carol.user_id}
