"""Rooms whose history has many ends, on every database."""

from __future__ import annotations

import asyncio

from palpo.core import state_tree
from palpo.core.events import SignedEvent
from palpo.core.records.events import EventStatus
from palpo.core.state_keys import MEMBER, POWER_LEVELS, TOPIC
from palpo.services.history.admission import DUMMY
from palpo.services.history.room_builder import REFERRED
from tests.support.homeserver import Client, Homeserver
from tests.support.remote_users import BOB, Remote

MESSAGE = "m.room.message"


async def room_of_bob(server: Homeserver, alice: Client, **levels: int) -> Remote:
    """A room in which Bob may set topics."""
    body = {"users": {BOB: 50}, **levels}
    remote = Remote(server, await alice.create_room(preset="public_chat"))
    await remote.send(await remote.event(BOB, (MEMBER, BOB), {"membership": "join"}))
    await alice.put(f"/rooms/{remote.room_id}/state/m.room.power_levels", body)
    return remote


async def fork(remote: Remote, count: int) -> list[SignedEvent]:
    """So many topics at once."""
    before = (await remote.head()).row.extremities
    made = [await remote.event(BOB, TOPIC, {"topic": f"{number}"}, after=before) for number in range(count)]
    for event in made:
        await remote.send(event)
    return made


async def ends(remote: Remote) -> tuple[str, ...]:
    return (await remote.head()).row.extremities


async def test_many_ends_are_merged_before_anything_is_sent(server: Homeserver, alice: Client) -> None:
    remote = await room_of_bob(server, alice)
    made = await fork(remote, 100)
    assert len(await ends(remote)) == 100
    since = (await alice.get("/sync"))["next_batch"]
    sent = await alice.send(remote.room_id, "merged")
    assert await ends(remote) == (sent,)
    signed = (await remote.history.events.signed([sent]))[sent]
    assert len(signed.prev_events) <= REFERRED
    merges = await remote.history.events.signed(signed.prev_events)
    dummies = [event for event in merges.values() if event.type == DUMMY]
    assert all(len(event.prev_events) <= 20 for event in dummies)
    referred = {*signed.prev_events, *(name for event in dummies for name in event.prev_events)}
    assert referred >= {event.event_id for event in made}
    assert (await alice.get(f"/rooms/{remote.room_id}/state/m.room.topic"))["topic"] == "99"
    # The state before it is what those that it refers to come to.
    events = await remote.history.events.get_many([sent, *signed.prev_events])
    told = await remote.history.admission.state_after(
        (await remote.head()).rules, signed.prev_events, [TOPIC, POWER_LEVELS]
    )
    before = await remote.history.events.read_state(
        state_tree.get_many(events[sent].state_before, [TOPIC, POWER_LEVELS])
    )
    assert {key: event.event_id for key, event in told.items()} == before
    await nobody_is_shown(alice, remote, dummies, since)


async def nobody_is_shown(client: Client, remote: Remote, dummies: list[SignedEvent], since: str) -> None:
    page = await client.get(f"/rooms/{remote.room_id}/messages?dir=b&limit=200")
    synced = (await client.get("/sync", params={"since": since}))["rooms"]["join"][remote.room_id]
    shown = [*page["chunk"], *synced["timeline"]["events"]]
    assert dummies
    assert DUMMY not in {item["type"] for item in shown}
    for event in dummies:
        item = await remote.history.events.get(event.event_id)
        assert (item.status, item.position) == (EventStatus.HIDDEN, 0)
        await client.get(f"/rooms/{remote.room_id}/event/{event.event_id}", status=404)
        await client.get(f"/rooms/{remote.room_id}/context/{event.event_id}", status=404)


async def test_few_ends_are_merged_by_what_is_sent(server: Homeserver, alice: Client) -> None:
    remote = await room_of_bob(server, alice)
    made = await fork(remote, REFERRED)
    sent = await alice.send(remote.room_id, "merged")
    signed = (await remote.history.events.signed([sent]))[sent]
    assert set(signed.prev_events) == {event.event_id for event in made}


async def test_what_another_server_merges_is_not_shown(server: Homeserver, alice: Client) -> None:
    remote = await room_of_bob(server, alice)
    since = (await alice.get("/sync"))["next_batch"]
    await fork(remote, 3)
    dummy = await remote.event(BOB, DUMMY, {})
    await remote.send(dummy)
    assert await ends(remote) == (dummy.event_id,)
    await alice.send(remote.room_id, "next")
    await nobody_is_shown(alice, remote, [dummy], since)


async def test_somebody_else_merges_where_the_sender_may_not(server: Homeserver, alice: Client) -> None:
    remote = await room_of_bob(server, alice, events_default=20)
    dora = await server.register("dora")
    await fork(remote, 15)
    await dora.post(f"/join/{remote.room_id}")
    (join,) = await ends(remote)
    signed = (await remote.history.events.signed([join]))[join]
    (merge,) = (await remote.history.events.signed(signed.prev_events)).values()
    assert (merge.type, merge.sender) == (DUMMY, alice.user_id)


async def test_where_nobody_may_merge_the_newest_are_referred_to(server: Homeserver, alice: Client) -> None:
    """Growth is bounded there too."""
    remote = await room_of_bob(server, alice, events_default=20)
    dora = await server.register("dora")
    await dora.post(f"/join/{remote.room_id}")
    made = await fork(remote, 25)
    await alice.post(f"/rooms/{remote.room_id}/leave")
    (leave,) = await ends(remote)
    await remote.send(*[await remote.event(BOB, TOPIC, {"topic": "last"}, after=(leave,))])
    forks = await fork(remote, 25)
    await dora.post(f"/rooms/{remote.room_id}/leave")
    (last,) = await ends(remote)
    signed = (await remote.history.events.signed([last]))[last]
    assert list(signed.prev_events) == [event.event_id for event in forks[-20:]]
    assert len(made) == 25


async def test_many_senders_at_once(server: Homeserver, alice: Client) -> None:
    """Those who wait behind the merge are sent all the same, in order."""
    remote = await room_of_bob(server, alice)
    await fork(remote, 30)
    sent = await asyncio.gather(*(alice.send(remote.room_id, f"{number}") for number in range(5)))
    page = await alice.get(f"/rooms/{remote.room_id}/messages?dir=b&limit=5")
    assert [item["event_id"] for item in page["chunk"][::-1]] == sent
