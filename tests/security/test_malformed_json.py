"""What is wrong with a part of what another server sends costs only that part."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from palpo.core.canonical_json import encode_lax
from palpo.core.events import SignedEvent
from palpo.core.state_keys import MEMBER
from palpo.wire.endpoint import Endpoint
from tests.api.federation.test_backfill import Elsewhere
from tests.api.federation.test_missing_events import Among, Past
from tests.security.test_acls import of_servers, url
from tests.support.encryption import device_keys, one_time_keys
from tests.support.federation import Asked
from tests.support.homeserver import Client, Homeserver
from tests.support.remote_rooms import RemoteRoom
from tests.support.remote_server import RemoteServer
from tests.support.remote_users import BOB, CAROL, SERVER, Remote
from tests.support.resident import Resident
from tests.support.transactions import Sender, sender_in, text
from tests.support.unreadable import ANYTHING, MARK, answer, spoilt

V1 = "/_matrix/federation/v1"
PDUS = 50
STATE = int(os.environ.get("PALPO_TEST_STATE", "500"))
"""Events of a room that is joined; with 60000 the test takes minutes."""
OUR_FORMS: Mapping[str, bytes] = {
    "surrogates the wrong way round": '"\ufffd\ufffd"'.encode(),
    "lone surrogate as a name": '{"\ufffd":1}'.encode(),
    "no UTF-8": '"\ufffd"'.encode(),
    "a key twice": b'{"a":2}',
    "NUL": b'"m.\\u0000room"',
}
"""What servers sign instead, where it is not the same."""


@pytest.fixture(params=ANYTHING)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def bad(kind: str) -> bytes:
    return ANYTHING[kind]


def with_mark(event: SignedEvent, where: str) -> dict[str, Any]:
    """An event that is spoilt at one place."""
    if where == "content":
        return {**event.pdu, "content": {**event.content, "more": MARK}}
    return {**event.pdu, where: MARK}


async def send(sender: Sender, name: str, content: Any, bad: bytes, signed: bytes) -> Any:
    """Send a transaction, which is signed as the other server would."""
    body = {"origin": SERVER, "origin_server_ts": 1, **content}
    form = encode_lax(body).replace(encode_lax(MARK), signed)
    path = f"{V1}/send/{name}"
    told = await sender.server.send_json(sender.ours, "PUT", path, spoilt(body, bad), form)
    assert told.status_code == 200, told.text
    return told.json()


async def test_one_malformed_pdu_among_50(tmp_path: Path, kind: str, bad: bytes) -> None:
    async with sender_in(tmp_path) as sender:
        shown = []
        for where in (
            "content",
            "type",
            "depth",
            "unsigned",
            "signatures",
            "prev_events",
            "sender",
            "room_id",
        ):
            good: list[SignedEvent] = []
            for number in range(PDUS - 1):
                after = (good[-1].event_id,) if good else None
                good.append(await sender.message(f"{where} {number}", after=after))
            pdus: list[Any] = [event.pdu for event in good]
            pdus.insert(PDUS // 2, with_mark(await sender.message("bad"), where))
            told = await send(sender, where, {"pdus": pdus}, bad, OUR_FORMS.get(kind, bad))
            assert [told["pdus"][event.event_id] for event in good] == [{}] * len(good)
            shown += [event.event_id for event in good]
        for event_id in shown:
            path = f"/rooms/{sender.room.room_id}/event/{event_id}"
            assert (await sender.alice.get(path))["event_id"] == event_id


async def test_a_lone_surrogate_may_be_signed_as_it_is_written(tmp_path: Path) -> None:
    async with sender_in(tmp_path) as sender:
        good = await sender.message("good")
        content = {"pdus": [{"a": MARK}, good.pdu]}
        assert await send(sender, "odd", content, b'"\\uD800"', b'"\\ud800"') == {"pdus": {good.event_id: {}}}


async def test_what_is_not_signed_is_not_taken(tmp_path: Path) -> None:
    """Neither what cannot be read, nor what is beside it."""
    async with sender_in(tmp_path) as sender:
        good = await sender.message("good")
        body = {"origin": SERVER, "origin_server_ts": 1, "pdus": [{"a": MARK}, good.pdu]}
        for form in (b'{"pdus":[]}', encode_lax(body), encode_lax({**body, "pdus": [good.pdu]})):
            data = spoilt(body, b'"\\ud800"')
            told = await sender.server.send_json(sender.ours, "PUT", f"{V1}/send/odd", data, form)
            assert told.status_code == 401
        assert await sender.bodies() == []


@pytest.mark.parametrize(
    "endpoint", [item for item in of_servers() if item.method != "GET"], ids=lambda item: item.operation_id
)
async def test_a_malformed_part_of_any_request(
    server: Homeserver, remote: RemoteServer, alice: Client, endpoint: Endpoint[Any, Any, Any]
) -> None:
    """It is refused, or does without that part."""
    room_id = await alice.create_room(preset="public_chat")
    event = RemoteRoom().event(BOB, (MEMBER, BOB), {"membership": "join", "more": MARK}).pdu
    body = {**event, "event": event, "invite_room_state": [event, MARK], "device_keys": {alice.user_id: MARK}}
    body |= {"room_version": "11", "latest_events": ["$x", MARK], "one_time_keys": MARK, "pdus": [MARK]}
    for name, bad in ANYTHING.items():
        form = encode_lax(body).replace(encode_lax(MARK), OUR_FORMS.get(name, bad))
        for path in endpoint.paths:
            where = url(endpoint, path.replace("{txn_id}", "x"), room_id, "$x")
            told = await remote.send_json(server, endpoint.method, where, spoilt(body, bad), form)
            assert told.status_code in (200, 400, 403, 404), (name, told.text)


async def test_one_malformed_edu_among_others(tmp_path: Path, kind: str, bad: bytes) -> None:
    async with sender_in(tmp_path) as sender:
        user_id, room_id = sender.alice.user_id, sender.room.room_id
        typing = {"room_id": room_id, "user_id": BOB, "typing": True}
        message = {"sender": BOB, "type": "m.dummy", "message_id": kind}
        edus = [
            {"edu_type": "m.direct_to_device", "content": {**message, "messages": {user_id: {"*": MARK}}}},
            {"edu_type": "m.presence", "content": {"push": [{"user_id": BOB, "status_msg": MARK}]}},
            {"edu_type": "m.receipt", "content": {room_id: {"m.read": {BOB: {"event_ids": MARK}}}}},
            {"edu_type": "m.device_list_update", "content": {"user_id": BOB, "stream_id": MARK}},
            {"edu_type": "m.typing", "content": {**typing, "user_id": MARK}},
            {"edu_type": MARK, "content": {}},
            MARK,
            {"edu_type": "m.typing", "content": typing},
        ]
        await send(sender, "odd", {"pdus": [], "edus": edus}, bad, OUR_FORMS.get(kind, bad))
        synced = await sender.alice.get("/sync")
        (event,) = synced["rooms"]["join"][room_id]["ephemeral"]["events"]
        assert event["content"] == {"user_ids": [BOB]}


async def test_one_malformed_pdu_of_a_room_that_is_joined(
    alice: Client, remote: RemoteServer, bad: bytes
) -> None:
    """Among 60,000, if the environment says so."""
    room = RemoteRoom()
    for number in range(STATE):
        user_id = f"@user{number}:{SERVER}"
        room.add(user_id, (MEMBER, user_id), {"membership": "join"})
    resident = Resident(remote, room)
    topic = room.add(BOB, ("m.room.topic", ""), {"topic": "x"})
    events = [event.pdu for key, event in room.state.items() if key != topic.key]
    events.insert(len(events) // 2, with_mark(topic, "content"))
    told = {"state": events, "auth_chain": [with_mark(topic, "depth")], "origin": MARK, "more": MARK}
    right = resident.send

    async def send_join(asked: Asked) -> web.Response:
        return answer({**await right(asked), **told}, bad)

    remote.answers["PUT", "/_matrix/federation/v2/send_join/"] = send_join
    await alice.post(f"/join/{room.room_id}", params={"via": SERVER})
    joined = await alice.get(f"/rooms/{room.room_id}/joined_members")
    assert len(joined["joined"]) == STATE + 2


def spoilt_answers(remote: RemoteServer, spoil: Callable[[Any], Any], bad: bytes, *names: str) -> None:
    """Have each of the answers be spoilt."""
    for key, right in list(remote.answers.items()):
        if any(f"/{name}/" in key[1] for name in names):
            remote.answers[key] = _spoiling(right, spoil, bad)


def _spoiling(right: Any, spoil: Callable[[Any], Any], bad: bytes) -> Callable[[Asked], Any]:
    async def told(asked: Asked) -> Any:
        value = await right(asked)
        return value if isinstance(value, web.Response) else answer(spoil(value), bad)

    return told


async def test_one_malformed_pdu_of_what_is_missing(tmp_path: Path, bad: bytes) -> None:
    """In the answer to /get_missing_events."""
    async with sender_in(tmp_path) as sender:
        past = Past(sender)
        events = await past.messages(5)
        odd = with_mark(await sender.message("odd"), "content")

        def spoil(value: Any) -> Any:
            return {"events": [odd, *value["events"], MARK], "more": MARK}

        spoilt_answers(sender.server, spoil, bad, "get_missing_events")
        await sender.send(events[-1])
        await sender.settled()
        assert await sender.bodies() == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("how", ["state_ids", "state"])
async def test_one_malformed_pdu_of_a_state(tmp_path: Path, bad: bytes, how: str) -> None:
    """In the answers to /state_ids, /event and /state, after a gap that nobody closes."""
    async with sender_in(tmp_path) as sender:
        past = Past(sender)
        join = await sender.room.event(CAROL, (MEMBER, CAROL), {"membership": "join"})
        shown = await sender.message("shown", after=(join.event_id,))
        last = await sender.message("last", after=(shown.event_id,))
        past.add(shown)
        past.state = await past.now()
        answers = sender.server.answers
        answers["GET", f"{V1}/event/"] = Among(past, join)
        if how == "state":
            signed = await sender.room.history.events.signed(past.state)
            pdus = [event.pdu for event in signed.values()]
            del answers["GET", f"{V1}/state_ids/"]
            answers["GET", f"{V1}/state/"] = _always({"pdus": pdus, "auth_chain": []})

        def spoil(value: Any) -> Any:
            more = {name: [*items, MARK] for name, items in value.items() if isinstance(items, list)}
            return {**value, **more, "more": MARK}

        spoilt_answers(sender.server, spoil, bad, "state_ids", "state", "event", "get_missing_events")
        await sender.send(last)
        await sender.settled()
        assert await sender.bodies() == ["shown", "last"]
        members = await sender.alice.get(f"/rooms/{sender.room.room_id}/joined_members")
        assert CAROL in members["joined"]


def _always(value: Any) -> Callable[[Asked], Any]:
    async def told(asked: Asked) -> Any:
        return value

    return told


async def test_one_malformed_pdu_of_the_past(
    server: Homeserver, alice: Client, remote: RemoteServer, bad: bytes
) -> None:
    """In the answer to /backfill."""
    elsewhere = Elsewhere(server, remote, alice)
    for number in range(20):
        elsewhere.say(f"{number}")
    odd = with_mark(elsewhere.room.event(BOB, "m.room.message", text("odd")), "content")

    def spoil(value: Any) -> Any:
        return {"pdus": [odd, MARK, *value["pdus"]], "more": MARK}

    spoilt_answers(remote, spoil, bad, "backfill")
    await elsewhere.join()
    assert await elsewhere.bodies(limit=100) == [f"{number}" for number in reversed(range(20))]


async def test_one_malformed_device_among_others(
    server: Homeserver, alice: Client, remote: RemoteServer, bad: bytes
) -> None:
    """In answers with keys of devices, and with one-time keys."""
    room = Remote(server, await alice.create_room(preset="public_chat"))
    await room.send(await room.event(BOB, (MEMBER, BOB), {"membership": "join"}))
    keys = device_keys(BOB, "PHONE")
    devices = {"PHONE": keys, "ODD": {**keys, "device_id": "ODD", "more": MARK}, "NONE": MARK}
    query = {"device_keys": {BOB: devices, CAROL: MARK}, "master_keys": {BOB: MARK}, "more": MARK}
    remote.answers["POST", f"{V1}/user/keys/query"] = answer(query, bad)
    for user_id in (BOB, CAROL):
        found = await alice.post("/keys/query", {"device_keys": {user_id: []}})
        assert found["failures"] == {}
    found = await alice.post("/keys/query", {"device_keys": {BOB: []}})
    assert found["device_keys"][BOB]["PHONE"] == keys
    one_time = dict(one_time_keys(BOB, "PHONE", 1))
    claim = {"one_time_keys": {BOB: {"PHONE": one_time, "ODD": {next(iter(one_time)): MARK}}, CAROL: MARK}}
    remote.answers["POST", f"{V1}/user/keys/claim"] = answer(claim, bad)
    wanted = {BOB: {"PHONE": "signed_curve25519", "ODD": "signed_curve25519"}}
    claimed = await alice.post("/keys/claim", {"one_time_keys": wanted})
    assert claimed["one_time_keys"][BOB]["PHONE"] == one_time


async def test_one_malformed_room_among_others(alice: Client, remote: RemoteServer, bad: bytes) -> None:
    """In directories and hierarchies."""
    shown = {"num_joined_members": 3, "world_readable": True, "guest_can_join": True, "join_rule": "public"}
    near, far, space = ({**shown, "room_id": f"!{name}:{SERVER}"} for name in ("near", "far", "space"))
    rooms = [MARK, {**far, "room_id": MARK}, {**far, "num_joined_members": MARK}, near]
    remote.answers["GET", f"{V1}/publicRooms"] = answer({"chunk": rooms, "more": MARK}, bad)
    listed = await alice.get(f"/publicRooms?server={SERVER}")
    assert near["room_id"] in {item["room_id"] for item in listed["chunk"]}
    root = await alice.create_room(creation_content={"type": "m.space"})
    await alice.put(f"/rooms/{root}/state/m.space.child/{space['room_id']}", {"via": [SERVER]})
    child = {
        "type": "m.space.child",
        "state_key": near["room_id"],
        "content": {"via": [SERVER]},
        "sender": BOB,
        "origin_server_ts": 1,
    }
    told = {"room": {**space, "room_type": "m.space", "children_state": [child]}, "children": rooms}
    remote.answers["GET", f"{V1}/hierarchy/"] = answer({**told, "inaccessible_children": [MARK]}, bad)
    found = await alice.request("GET", f"/client/v1/rooms/{root}/hierarchy")
    assert [item["room_id"] for item in found["rooms"]] == [root, space["room_id"], near["room_id"]]


async def test_a_malformed_field_of_a_profile(alice: Client, remote: RemoteServer, bad: bytes) -> None:
    told = {"displayname": "Bob", "avatar_url": MARK, "org.example.more": MARK}
    remote.answers["GET", f"{V1}/query/profile"] = answer(told, bad)
    profile = await alice.get(f"/profile/{BOB}")
    assert profile["displayname"] == "Bob"
    room_id = await alice.create_room(preset="public_chat")
    await alice.post(f"/rooms/{room_id}/invite", {"user_id": BOB}, status=None)
    await alice.get("/sync")


async def test_malformed_templates(alice: Client, remote: RemoteServer, bad: bytes) -> None:
    """Of little that they say, nothing else counts."""
    resident = Resident(remote, RemoteRoom())
    right = resident.make

    async def make(asked: Asked) -> web.Response:
        told = await right(asked)
        told["event"]["content"]["more"] = MARK
        return answer({**told, "more": MARK}, bad)

    remote.answers["GET", f"{V1}/make_join/"] = make
    joined = await alice.post(f"/join/{resident.room.room_id}", params={"via": SERVER}, status=None)
    assert joined.get("error") != "Internal server error"
    resident = Resident(remote, resident.room)
    await alice.post(f"/join/{resident.room.room_id}", params={"via": SERVER})
