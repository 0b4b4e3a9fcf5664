"""Rooms of other servers that users of ours join, on every database."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from palpo.core.errors import AuthError, BadJson, NotFound
from palpo.core.events import StateKey
from palpo.core.records.events import EventStatus
from palpo.core.state_keys import JOIN_RULES, MEMBER, NAME, TOPIC
from palpo.storage import event_edges, memberships
from tests.support.homeserver import Client, Homeserver
from tests.support.remote_rooms import RemoteRoom, begin, import_state, join, told
from tests.support.remote_users import BOB, CAROL, SERVER


@pytest.fixture
def room() -> RemoteRoom:
    """A room that has a history."""
    made = RemoteRoom()
    made.add(BOB, NAME, {"name": "Elsewhere"})
    made.add(CAROL, (MEMBER, CAROL), {"membership": "join", "displayname": "Carol"})
    for number in range(5):
        made.add(BOB, "m.room.message", {"body": f"before {number}"})
    return made


def keys(events: list[dict[str, Any]]) -> set[StateKey]:
    return {(event["type"], event["state_key"]) for event in events}


async def of_room(client: Client, room: RemoteRoom, since: str | None = None) -> Any:
    params = {} if since is None else {"since": since}
    return (await client.get("/sync", params=params))["rooms"]["join"][room.room_id]


async def test_a_room_of_which_only_the_state_is_here_is_not_there(
    server: Homeserver, alice: Client, room: RemoteRoom
) -> None:
    await import_state(server, room)
    await alice.get(f"/rooms/{room.room_id}/state", status=403)
    await alice.put(f"/rooms/{room.room_id}/send/m.room.message/1", {"body": "b"}, status=404)
    assert room.room_id not in (await alice.get("/sync")).get("rooms", {}).get("join", {})
    with pytest.raises(NotFound):
        await server.services.history.room_heads.get(room.room_id)
    with pytest.raises(NotFound):
        await told(server, room, room.add(BOB, "m.room.message", {"body": "b"}))


@pytest.mark.parametrize("initial", [True, False])
async def test_a_room_begins_at_the_join(
    server: Homeserver, alice: Client, room: RemoteRoom, initial: bool
) -> None:
    since = None if initial else (await alice.get("/sync"))["next_batch"]
    event = await join(server, room, alice)
    synced = await of_room(alice, room, since)
    assert [item["event_id"] for item in synced["timeline"]["events"]] == [event.event_id]
    assert synced["timeline"]["limited"] is True
    assert keys(synced["state"]["events"]) == room.state.keys() - {event.key}
    assert synced["summary"]["m.joined_member_count"] == 3
    token = synced["timeline"]["prev_batch"]
    page = await alice.get(f"/rooms/{room.room_id}/messages?dir=b&from={token}")
    assert page["chunk"] == []
    page = await alice.get(f"/rooms/{room.room_id}/messages?dir=f&from={token}")
    assert [item["event_id"] for item in page["chunk"]] == [event.event_id]
    assert set((await alice.get(f"/rooms/{room.room_id}/joined_members"))["joined"]) == {
        alice.user_id,
        BOB,
        CAROL,
    }
    row = await server.services.server.db.read(lambda tx: memberships.get(tx, room.room_id, CAROL))
    assert row is not None
    assert (row.event_id, row.position) == (room.state[MEMBER, CAROL].event_id, 0)


async def test_it_is_in_sliding_sync(server: Homeserver, alice: Client, room: RemoteRoom) -> None:
    path = "/client/unstable/org.matrix.simplified_msc3575/sync"
    lists = {"a": {"ranges": [[0, 9]], "required_state": [["*", "*"]], "timeline_limit": 10}}
    first = await alice.request("POST", path, {"lists": lists})
    event = await join(server, room, alice)
    for pos in (first["pos"], None):
        params = {} if pos is None else {"pos": pos}
        answer = await alice.request("POST", path, {"lists": lists}, params=params)
        found = answer["rooms"][room.room_id]
        assert [item["event_id"] for item in found["timeline"]] == [event.event_id]
        assert found["limited"] is True
        assert keys(found["required_state"]) == room.state.keys()
        assert found["name"] == "Elsewhere"
        assert found["joined_count"] == 3


async def test_the_room_goes_on(server: Homeserver, alice: Client, room: RemoteRoom) -> None:
    await join(server, room, alice)
    since = (await alice.get("/sync"))["next_batch"]
    theirs = room.add(BOB, "m.room.message", {"body": "theirs"})
    await told(server, room, theirs)
    ours = await alice.send(room.room_id, "ours")
    signed = (await server.services.history.events.signed([ours]))[ours]
    assert signed.prev_events == (theirs.event_id,)
    assert signed.depth == theirs.depth + 1
    synced = await of_room(alice, room, since)
    assert [item["event_id"] for item in synced["timeline"]["events"]] == [theirs.event_id, ours]
    assert "limited" not in synced["timeline"] or synced["timeline"]["limited"] is False


async def test_a_join_that_is_not_allowed(server: Homeserver, alice: Client, room: RemoteRoom) -> None:
    state = dict(room.state)
    room.add(BOB, JOIN_RULES, {"join_rule": "invite"})
    before = await import_state(server, room)
    event = room.event(
        alice.user_id,
        (MEMBER, alice.user_id),
        {"membership": "join"},
        auth=[state[key].event_id for key in state if key[0] in ("m.room.create", "m.room.power_levels")],
    )
    with pytest.raises(AuthError):
        await begin(server, room, event, before)
    foreign = room.event(CAROL, TOPIC, {"topic": "t"})
    lost = room.event(alice.user_id, (MEMBER, alice.user_id), {"membership": "join"}, auth=[foreign.event_id])
    with pytest.raises(BadJson):
        await begin(server, room, lost, before)
    with pytest.raises(NotFound):
        await server.services.history.room_heads.get(room.room_id)


@pytest.mark.parametrize("version", ["1", "12"])
async def test_it_works_in_every_version(server: Homeserver, alice: Client, version: str) -> None:
    room = RemoteRoom(version)
    event = await join(server, room, alice)
    ours = await alice.send(room.room_id, "ours")
    signed = (await server.services.history.events.signed([ours]))[ours]
    assert signed.prev_events == (event.event_id,)


async def test_a_second_user_joins_as_any_other(server: Homeserver, alice: Client, room: RemoteRoom) -> None:
    await join(server, room, alice)
    since = (await alice.get("/sync"))["next_batch"]
    dora = await server.register("dora")
    before = await import_state(server, room)
    event = room.add(dora.user_id, (MEMBER, dora.user_id), {"membership": "join"})
    await begin(server, room, event, before)
    synced = await of_room(alice, room, since)
    assert [item["event_id"] for item in synced["timeline"]["events"]] == [event.event_id]
    assert synced["timeline"].get("limited", False) is False


async def test_what_happened_while_nobody_was_there(
    server: Homeserver, alice: Client, room: RemoteRoom
) -> None:
    """State that changed shows up, in a sync from before as well; the timeline is cut at the gap."""
    dora = await server.register("dora")
    await join(server, room, alice)
    await told(server, room, room.add(BOB, "m.room.message", {"body": "seen"}))
    since = (await alice.get("/sync"))["next_batch"]
    leave = await alice.post(f"/rooms/{room.room_id}/leave")
    assert leave == {}
    head = await server.services.history.room_heads.get(room.room_id)
    (name,) = head.row.extremities
    room.events[name] = (await server.services.history.events.signed([name]))[name]
    room.state[MEMBER, alice.user_id] = room.events[name]
    room.last = (name,)
    topic = room.add(BOB, TOPIC, {"topic": "new"})
    room.add(CAROL, (MEMBER, CAROL), {"membership": "leave"})
    room.add(BOB, (MEMBER, dora.user_id), {"membership": "ban"})
    eve = f"@eve:{SERVER}"
    room.add(eve, (MEMBER, eve), {"membership": "join"})
    event = await join(server, room, alice)
    for token in (since, None):
        synced = await of_room(alice, room, token)
        assert [item["event_id"] for item in synced["timeline"]["events"]] == [event.event_id]
        assert synced["timeline"]["limited"] is True
        assert {TOPIC, (MEMBER, CAROL), (MEMBER, eve)} <= keys(synced["state"]["events"])
        assert synced["summary"]["m.joined_member_count"] == 3
    assert (await alice.get(f"/rooms/{room.room_id}/state/m.room.topic"))["topic"] == "new"
    before = await server.services.server.db.read(lambda tx: memberships.get(tx, room.room_id, dora.user_id))
    assert before is not None
    assert before.membership == "ban"
    assert before.position > 0
    left = (await dora.get("/sync", params={"since": since}))["rooms"]
    assert room.room_id in left["leave"]
    page = await alice.get(
        f"/rooms/{room.room_id}/messages?dir=b&from={synced['timeline']['prev_batch']}&limit=2"
    )
    assert [item["type"] for item in page["chunk"]] == [MEMBER, "m.room.message"]
    assert page["chunk"][1]["content"]["body"] == "seen"
    assert topic.event_id == (await room_state(alice, room))[TOPIC]


async def room_state(client: Client, room: RemoteRoom) -> dict[StateKey, str]:
    events = await client.get(f"/rooms/{room.room_id}/state")
    return {(event["type"], event["state_key"]): event["event_id"] for event in events}


async def test_an_event_after_a_gap(server: Homeserver, alice: Client, room: RemoteRoom) -> None:
    """Its state is what others tell; it stands above all, and what is before it is known to be missing."""
    await join(server, room, alice)
    await alice.get("/sync")
    await told(server, room, room.add(BOB, "m.room.message", {"body": "seen"}))
    since = (await alice.get("/sync"))["next_batch"]
    head = await server.services.history.room_heads.get(room.room_id)
    await alice.send(room.room_id, "between")
    room.add(BOB, TOPIC, {"topic": "in the gap"})
    lost = room.add(BOB, "m.room.message", {"body": "lost"})
    before = await import_state(server, room)
    late = room.add(BOB, "m.room.message", {"body": "late"}, depth=2**53 - 1)
    history = server.services.history
    build = partial(history.admission.build, events=[late])
    assert await history.room_writer.admit(room.room_id, build) == []
    build = partial(history.admission.build, events=[late], states={late.event_id: before})
    (stored,) = await history.room_writer.admit(room.room_id, build)
    assert stored.status is EventStatus.ACCEPTED
    assert head.row.place < stored.place < head.row.place + 2**21
    assert len((await history.room_heads.get(room.room_id)).row.extremities) == 2
    synced = await of_room(alice, room, since)
    assert [item["content"]["body"] for item in synced["timeline"]["events"]] == ["late"]
    assert synced["timeline"]["limited"] is True
    assert keys(synced["state"]["events"]) == {TOPIC}
    page = await alice.get(
        f"/rooms/{room.room_id}/messages?dir=b&from={synced['timeline']['prev_batch']}&limit=2"
    )
    assert [item["content"]["body"] for item in page["chunk"]] == ["between", "seen"]
    db = server.services.server.db
    missing = await db.read(lambda tx: event_edges.backward_extremities(tx, room.room_id, stored.order, 10))
    assert missing[0].event_id == lost.event_id
    assert missing[0].place == stored.place
