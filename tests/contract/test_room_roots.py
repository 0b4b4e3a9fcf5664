"""Current states that change without an event that says so, and verdicts that change: on every database."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from palpo.core import state_tree
from palpo.core.events import StateKey
from palpo.core.records.events import EventStatus
from palpo.core.state_keys import MEMBER, TOPIC
from palpo.storage import memberships
from palpo.storage import state as state_storage
from palpo.streams import topics
from tests.support.homeserver import Client, Homeserver
from tests.support.remote_users import BOB, CAROL, Remote

PATH = "/client/unstable/org.matrix.simplified_msc3575/sync"
LISTS = {"a": {"ranges": [[0, 9]], "required_state": [["*", "*"]], "timeline_limit": 10}}


@pytest.fixture
async def remote(server: Homeserver, alice: Client) -> Remote:
    made = Remote(server, await alice.create_room(preset="public_chat", name="A room"))
    await made.send(await made.event(BOB, (MEMBER, BOB), {"membership": "join"}))
    return made


async def reroot(server: Homeserver, remote: Remote, changes: dict[StateKey, str | None]) -> None:
    """Change the room's current state, and say it in no event."""
    history = server.services.history
    root = (await remote.head()).state_root
    update = await history.events.read_state(state_tree.update(root, changes))
    await server.services.server.db.write(lambda tx: state_storage.insert_nodes(tx, update.new_nodes))
    builds = partial(history.admission.reroot, root=update.root)
    assert await history.room_writer.admit(remote.room_id, builds) == []


def ids(events: list[dict[str, Any]]) -> set[str]:
    return {event["event_id"] for event in events}


async def test_syncs_tell_of_a_state_that_no_event_has_led_to(
    server: Homeserver, alice: Client, remote: Remote
) -> None:
    known = await remote.head()
    topic = await remote.event(BOB, TOPIC, {"topic": "theirs"})
    carol = await remote.event(CAROL, (MEMBER, CAROL), {"membership": "join"})
    for event in (topic, carol):
        await remote.history.admission.store_outlier(event, {})
    since = (await alice.get("/sync"))["next_batch"]
    first = await alice.request("POST", PATH, {"lists": LISTS})
    position = server.services.server.wakeups.position
    await reroot(server, remote, {TOPIC: topic.event_id, carol.key: carol.event_id})
    assert server.services.server.wakeups.position > position
    told = await alice.get("/sync", params={"since": since})
    room = told["rooms"]["join"][remote.room_id]
    assert room["timeline"]["events"] == []
    assert ids(room["state"]["events"]) == {topic.event_id, carol.event_id}
    assert room["summary"]["m.joined_member_count"] == 3
    answer = await alice.request("POST", PATH, {"lists": LISTS}, params={"pos": first["pos"]})
    assert ids(answer["rooms"][remote.room_id]["required_state"]) == {topic.event_id, carol.event_id}
    row = await server.services.server.db.read(lambda tx: memberships.get(tx, remote.room_id, CAROL))
    assert row is not None
    assert (row.event_id, row.position) == (carol.event_id, position + 1)
    head = await remote.head()
    assert head.row.extremities == known.row.extremities
    assert head.row.rerooted == position + 1
    server.services.history.room_heads.forget([remote.room_id])
    assert (await remote.head()).row == head.row
    # Who was told is not told again, and who was not is, whatever was sent since.
    await alice.send(remote.room_id, "next")
    for token, expected in ((told["next_batch"], set()), (since, {topic.event_id, carol.event_id})):
        room = (await alice.get("/sync", params={"since": token}))["rooms"]["join"][remote.room_id]
        assert [item["content"]["body"] for item in room["timeline"]["events"]] == ["next"]
        assert ids(room.get("state", {}).get("events", [])) == expected


async def test_what_goes_from_the_state(server: Homeserver, alice: Client, remote: Remote) -> None:
    await alice.put(f"/rooms/{remote.room_id}/state/m.room.topic", {"topic": "ours"})
    await alice.get("/sync")
    await reroot(server, remote, {TOPIC: None, (MEMBER, BOB): None})
    await alice.get(f"/rooms/{remote.room_id}/state/m.room.topic", status=404)
    joined = (await alice.get(f"/rooms/{remote.room_id}/joined_members"))["joined"]
    assert set(joined) == {alice.user_id}


async def test_a_fork_does_not_take_the_state_back(server: Homeserver, alice: Client, remote: Remote) -> None:
    """The state before an event of a fork is not what the client knows."""
    server.clock.advance(1)
    before = (await remote.head()).row.extremities
    late = await remote.event(BOB, "m.room.message", {"body": "late"}, after=before)
    await alice.put(f"/rooms/{remote.room_id}/state/m.room.name", {"name": "Another"})
    topic = await alice.put(f"/rooms/{remote.room_id}/state/m.room.topic", {"topic": "ours"})
    since = (await alice.get("/sync"))["next_batch"]
    await remote.send(late)
    room = (await alice.get("/sync", params={"since": since}))["rooms"]["join"][remote.room_id]
    assert ids(room["timeline"]["events"]) == {late.event_id}
    assert room.get("state", {}).get("events", []) == []
    whole = (await alice.get("/sync"))["rooms"]["join"][remote.room_id]
    limited = '{"room":{"timeline":{"limit":1}}}'
    one = (await alice.get("/sync", params={"filter": limited}))["rooms"]["join"][remote.room_id]
    for told in (whole, one):
        assert topic["event_id"] in ids([*told["state"]["events"], *told["timeline"]["events"]])


async def test_an_event_that_is_accepted_late(server: Homeserver, alice: Client, remote: Remote) -> None:
    """It is news when it is, and everything that has seen it before hears of that."""
    history = server.services.history
    root = (await remote.head()).row.extremities[0]
    body = {"body": "late", "m.relates_to": {"rel_type": "m.thread", "event_id": root}}
    before = (await remote.head()).row.extremities
    bob = await history.room_heads.state_event(await remote.head(), (MEMBER, BOB))
    assert bob is not None
    await alice.post(f"/rooms/{remote.room_id}/ban", {"user_id": BOB})
    late = await remote.event(BOB, "m.room.message", body, after=before, state={(MEMBER, BOB): bob.event_id})
    await remote.send(late)
    first = await history.events.get(late.event_id)
    assert first.status is EventStatus.SOFT_FAILED
    await alice.post(f"/rooms/{remote.room_id}/unban", {"user_id": BOB})
    await reroot(server, remote, {(MEMBER, BOB): bob.event_id})
    since = (await alice.get("/sync"))["next_batch"]
    heard: list[str] = []
    server.services.server.wakeups.listen(topics.EVENT, lambda keys, _: heard.extend(keys or ()))
    builds = partial(history.admission.build, events=[late])
    assert await history.room_writer.admit(remote.room_id, builds) == []
    builds = partial(history.admission.build, events=[late], again=[late.event_id])
    (accepted,) = await history.room_writer.admit(remote.room_id, builds)
    assert accepted.status is EventStatus.ACCEPTED
    assert accepted.position > first.position
    assert heard == [late.event_id]
    assert (await history.events.get(late.event_id)).position == accepted.position
    assert late.event_id in (await remote.head()).row.extremities
    room = (await alice.get("/sync", params={"since": since}))["rooms"]["join"][remote.room_id]
    assert ids(room["timeline"]["events"]) == {late.event_id}
    path = f"/client/v1/rooms/{remote.room_id}/relations/{root}"
    related = await alice.request("GET", path)
    assert ids(related["chunk"]) == {late.event_id}


async def test_a_client_that_begins_is_shown_forks_in_place(
    server: Homeserver, alice: Client, remote: Remote
) -> None:
    """What came late stands among the others, in the timeline and in the pages before it."""
    before = (await remote.head()).row.extremities
    late = await remote.event(BOB, "m.room.message", {"body": "late"}, after=before)
    names = [await alice.send(remote.room_id, f"{number}") for number in range(4)]
    since = (await alice.get("/sync"))["next_batch"]
    await remote.send(late)
    last = await alice.send(remote.room_id, "last", "m.room.other")
    news = (await alice.get("/sync", params={"since": since}))["rooms"]["join"][remote.room_id]
    assert [item["event_id"] for item in news["timeline"]["events"]] == [late.event_id, last]
    limited = '{"room":{"timeline":{"limit":2,"not_types":["m.room.other"]}}}'
    room = (await alice.get("/sync", params={"filter": limited}))["rooms"]["join"][remote.room_id]
    timeline = room["timeline"]
    assert [item["event_id"] for item in timeline["events"]] == names[2:]
    assert timeline["limited"] is True
    params = {"dir": "b", "limit": 3, "from": timeline["prev_batch"]}
    page = await alice.get(f"/rooms/{remote.room_id}/messages", params=params)
    assert [item["event_id"] for item in page["chunk"]] == [names[1], late.event_id, names[0]]
    body = {"lists": {"a": {**LISTS["a"], "timeline_limit": 3}}}
    found = (await alice.request("POST", PATH, body))["rooms"][remote.room_id]
    assert [item["event_id"] for item in found["timeline"]] == [*names[2:], last]


async def test_device_lists_follow_a_state_that_no_event_has_led_to(
    server: Homeserver, alice: Client, remote: Remote
) -> None:
    async def told(since: int) -> tuple[list[str], list[str]]:
        upto = server.services.server.wakeups.position
        answer = await alice.get(f"/keys/changes?from=s{since}&to=s{upto}")
        return answer["changed"], answer["left"]

    carol = await remote.event(CAROL, (MEMBER, CAROL), {"membership": "join"})
    await remote.history.admission.store_outlier(carol, {})
    before = server.services.server.wakeups.position
    await reroot(server, remote, {carol.key: carol.event_id})
    assert await told(before) == ([CAROL], [])
    between = server.services.server.wakeups.position
    await reroot(server, remote, {carol.key: None})
    assert await told(between) == ([], [CAROL])
    assert await told(before) == ([], [])
