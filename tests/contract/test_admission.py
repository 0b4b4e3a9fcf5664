"""Events of other servers in rooms of ours: forks, merges and verdicts, on every database."""

from __future__ import annotations

import pytest

from palpo.core.events import SignedEvent
from palpo.core.records.events import EventStatus
from palpo.storage import memberships
from tests.support.homeserver import Client, Homeserver
from tests.support.remote_users import BOB, CAROL, Remote

MEMBER = "m.room.member"
TOPIC = ("m.room.topic", "")


def text(body: str) -> dict[str, str]:
    return {"msgtype": "m.text", "body": body}


@pytest.fixture
async def remote(server: Homeserver, alice: Client) -> Remote:
    """A room of Alice's that Bob, of another server, has joined."""
    made = Remote(server, await alice.create_room(preset="public_chat"))
    await made.send(await made.event(BOB, (MEMBER, BOB), {"membership": "join", "displayname": "Bob"}))
    return made


async def bodies(client: Client, remote: Remote) -> list[str]:
    """The messages of the room, oldest first."""
    page = await client.get(f"/rooms/{remote.room_id}/messages?dir=b&limit=100")
    return [item["content"]["body"] for item in page["chunk"][::-1] if item["type"] == "m.room.message"]


async def test_a_join_of_elsewhere(server: Homeserver, alice: Client, remote: Remote) -> None:
    synced = (await alice.get("/sync"))["rooms"]["join"][remote.room_id]
    assert synced["timeline"]["events"][-1]["sender"] == BOB
    assert synced["summary"]["m.joined_member_count"] == 2
    joined = (await alice.get(f"/rooms/{remote.room_id}/joined_members"))["joined"]
    assert joined[BOB]["display_name"] == "Bob"
    row = await server.services.server.db.read(lambda tx: memberships.get(tx, remote.room_id, BOB))
    assert row is not None
    assert row.sender == BOB


async def test_forks_are_merged_by_what_is_sent_next(alice: Client, remote: Remote) -> None:
    before = (await remote.head()).row.extremities
    await alice.send(remote.room_id, "ours")
    (ours,) = (await remote.head()).row.extremities
    theirs = await remote.event(BOB, "m.room.message", text("theirs"), after=before)
    await remote.send(theirs)
    assert set((await remote.head()).row.extremities) == {ours, theirs.event_id}
    merge = await alice.send(remote.room_id, "merge")
    signed = (await remote.history.events.signed([merge]))[merge]
    assert set(signed.prev_events) == {ours, theirs.event_id}
    assert (await remote.head()).row.extremities == (merge,)
    assert await bodies(alice, remote) == ["ours", "theirs", "merge"]


async def test_what_a_page_before_a_sync_shows(alice: Client, remote: Remote) -> None:
    """What came late, and stands early in the timeline, is in the sync and in no page before it."""
    for number in ("1", "2", "3", "4"):
        await alice.send(remote.room_id, number)
    first = (await bodies(alice, remote))[0]
    assert first == "1"
    page = await alice.get(f"/rooms/{remote.room_id}/messages?dir=b&limit=4")
    after = page["chunk"][-1]["event_id"]
    since = (await alice.get("/sync"))["next_batch"]
    await remote.send(await remote.event(BOB, "m.room.message", text("1'"), after=(after,)))
    for number in ("5", "6", "7"):
        await alice.send(remote.room_id, number)
    limit = '{"room":{"timeline":{"limit":4}}}'
    synced = await alice.get("/sync", params={"since": since, "filter": limit})
    timeline = synced["rooms"]["join"][remote.room_id]["timeline"]
    assert [item["content"]["body"] for item in timeline["events"]] == ["1'", "5", "6", "7"]
    shown: list[str] = []
    token = timeline["prev_batch"]
    for _ in range(2):
        page = await alice.get(f"/rooms/{remote.room_id}/messages?dir=b&limit=2&from={token}")
        shown += [item["content"]["body"] for item in page["chunk"]]
        token = page["end"]
    assert shown == ["4", "3", "2", "1"]
    assert await bodies(alice, remote) == ["1", "2", "1'", "3", "4", "5", "6", "7"]


async def test_who_was_banned_meanwhile_is_not_shown(alice: Client, remote: Remote) -> None:
    before, since = (await remote.head()).row.extremities, (await alice.get("/sync"))["next_batch"]
    bob = await remote.history.room_heads.state_event(await remote.head(), (MEMBER, BOB))
    assert bob is not None
    await alice.post(f"/rooms/{remote.room_id}/ban", {"user_id": BOB})
    late = await remote.event(
        BOB, "m.room.message", text("still here"), after=before, state={(MEMBER, BOB): bob.event_id}
    )
    await remote.send(late)
    stored = await remote.history.events.get(late.event_id)
    assert stored.status is EventStatus.SOFT_FAILED
    assert stored.position == 0
    assert late.event_id not in (await remote.head()).row.extremities
    assert await bodies(alice, remote) == []
    await alice.send(remote.room_id, "gone")
    synced = await alice.get("/sync", params={"since": since})
    events = synced["rooms"]["join"][remote.room_id]["timeline"]["events"]
    assert [item["type"] for item in events] == [MEMBER, "m.room.message"]
    await alice.get(f"/rooms/{remote.room_id}/event/{late.event_id}", status=404)


async def test_what_is_forbidden_is_rejected_and_not_shown(alice: Client, remote: Remote) -> None:
    head = await remote.head()
    topic = await remote.event(BOB, TOPIC, {"topic": "mine"})
    await remote.send(topic)
    assert (await remote.history.events.get(topic.event_id)).status is EventStatus.REJECTED
    after = await remote.head()
    assert (after.row.extremities, after.state_root) == (head.row.extremities, head.state_root)
    await alice.get(f"/rooms/{remote.room_id}/state/m.room.topic", status=404)


async def test_forks_of_state_come_to_one_state(server: Homeserver, alice: Client, remote: Remote) -> None:
    """Two topics; the later one wins, whoever's it is. Members who joined on either side are in."""
    levels = {"users": {BOB: 50}}
    await alice.put(f"/rooms/{remote.room_id}/state/m.room.power_levels", levels)
    before = (await remote.head()).row.extremities
    theirs = await remote.event(BOB, TOPIC, {"topic": "theirs"}, after=before)
    joins = await remote.event(CAROL, (MEMBER, CAROL), {"membership": "join"}, after=(theirs.event_id,))
    await alice.put(f"/rooms/{remote.room_id}/state/m.room.topic", {"topic": "ours"})
    dora = await server.register("dora")
    await dora.post(f"/join/{remote.room_id}")
    await remote.send(theirs, joins)
    assert len((await remote.head()).row.extremities) == 2
    assert (await alice.get(f"/rooms/{remote.room_id}/state/m.room.topic"))["topic"] == "ours"
    joined = (await alice.get(f"/rooms/{remote.room_id}/joined_members"))["joined"]
    assert set(joined) == {alice.user_id, BOB, CAROL, dora.user_id}
    await alice.send(remote.room_id, "merge")
    assert len((await remote.head()).row.extremities) == 1
    assert (await alice.get(f"/rooms/{remote.room_id}/state/m.room.topic"))["topic"] == "ours"


async def split(alice: Client, remote: Remote) -> list[SignedEvent]:
    """State on a fork of Bob's, beside a topic of Alice's on the other."""
    levels = {"users": {BOB: 50}}
    await alice.put(f"/rooms/{remote.room_id}/state/m.room.power_levels", levels)
    before = (await remote.head()).row.extremities
    first = await remote.event(BOB, TOPIC, {"topic": "first"}, after=before)
    joins = await remote.event(CAROL, (MEMBER, CAROL), {"membership": "join"}, after=(first.event_id,))
    renamed = await remote.event(
        CAROL,
        (MEMBER, CAROL),
        {"membership": "join", "displayname": "Carol"},
        after=(joins.event_id,),
        state={(MEMBER, CAROL): joins.event_id},
    )
    last = await remote.event(BOB, TOPIC, {"topic": "last"}, after=(renamed.event_id,))
    await alice.put(f"/rooms/{remote.room_id}/state/m.room.topic", {"topic": "ours"})
    return [first, joins, renamed, last]


async def test_state_on_a_fork_is_judged_in_one_go(alice: Client, remote: Remote) -> None:
    fork = await split(alice, remote)
    built = await remote.history.admission.build(await remote.head(), fork)
    assert [new.event.event_id for new in built.events] == [event.event_id for event in fork]
    assert {new.status for new in built.events} == {EventStatus.ACCEPTED}
    await remote.send(*fork)
    assert len((await remote.head()).row.extremities) == 2
    joined = (await alice.get(f"/rooms/{remote.room_id}/joined_members"))["joined"]
    assert joined[CAROL]["display_name"] == "Carol"


async def test_state_on_a_fork_of_which_some_is_stored_meanwhile(alice: Client, remote: Remote) -> None:
    fork = await split(alice, remote)
    await remote.history.admission.store_outlier(fork[1], {})
    fresh = {event.event_id for event in fork}
    built = await remote.history.admission.build(await remote.head(), fork, fresh=fresh)
    assert [new.event.event_id for new in built.events] == [fork[0].event_id]
    await remote.send(*fork)
    items = await remote.history.events.get_many(event.event_id for event in fork)
    assert {item.status for item in items.values()} == {EventStatus.ACCEPTED}
    assert len(items) == len(fork)


async def test_state_that_comes_soon_after_state_on_a_fork(alice: Client, remote: Remote) -> None:
    """Chains are called by positions that nobody else has: what begins one afterwards is not lost."""
    await alice.put(f"/rooms/{remote.room_id}/state/m.room.power_levels", {"users": {BOB: 50}})
    before = (await remote.head()).row.extremities
    fork: list[SignedEvent] = []
    for number in range(5):
        after = (fork[-1].event_id,) if fork else before
        fork.append(await remote.event(BOB, (f"org.example.{number}", BOB), {}, after=after))
    await alice.put(f"/rooms/{remote.room_id}/state/m.room.topic", {"topic": "ours"})
    await remote.history.admission.build(await remote.head(), fork)
    later = [await remote.event(BOB, (f"org.example.later.{number}", BOB), {}) for number in range(5)]
    for event in later:
        await remote.history.admission.store_outlier(event, {})
    names = [event.event_id for event in (*fork, *later)]
    assert set(await remote.history.events.statuses(names)) == set(names)


async def test_what_rests_on_what_is_missing_waits(alice: Client, remote: Remote) -> None:
    first = await remote.event(BOB, "m.room.message", text("first"))
    second = await remote.event(BOB, "m.room.message", text("second"), after=(first.event_id,))
    built = await remote.history.admission.build(await remote.head(), [second])
    assert built.missing is not None
    assert built.missing.prev_events == (first.event_id,)
    await remote.send(second)
    assert await bodies(alice, remote) == []
    await remote.send(first, second)
    assert await bodies(alice, remote) == ["first", "second"]


async def test_a_depth_that_is_claimed_spoils_nothing(alice: Client, remote: Remote) -> None:
    await remote.send(await remote.event(BOB, "m.room.message", text("deep"), depth=2**53 - 1))
    for number in ("1", "2"):
        await alice.send(remote.room_id, number)
    assert await bodies(alice, remote) == ["deep", "1", "2"]


async def test_redactions_of_elsewhere(server: Homeserver, alice: Client, remote: Remote) -> None:
    """Of whose power allows it, of one's own server, and before their target; others are only kept."""
    theirs = await remote.event(BOB, "m.room.message", text("theirs"))
    await remote.send(theirs)
    ours = await alice.send(remote.room_id, "ours")
    for target in (ours, theirs.event_id):
        await remote.send(await remote.event(BOB, "m.room.redaction", {"redacts": target}))
    late = await remote.event(BOB, "m.room.message", text("late"))
    early = await remote.event(CAROL, "m.room.redaction", {"redacts": late.event_id})
    join = await remote.event(CAROL, (MEMBER, CAROL), {"membership": "join"})
    await remote.send(join)
    early = await remote.event(CAROL, "m.room.redaction", {"redacts": late.event_id})
    await remote.send(early)
    await remote.send(late)

    async def content(event_id: str) -> dict[str, str]:
        found = await alice.get(f"/rooms/{remote.room_id}/event/{event_id}")
        return dict(found["content"])

    assert await content(ours) == text("ours")
    assert await content(theirs.event_id) == {}
    assert await content(late.event_id) == {}
