"""What users make does not make the process larger: what is kept is bounded, and weighs what is said."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path

import pytest

from palpo.core import state_tree
from palpo.core.room_versions import room_version
from palpo.db.engine import Database
from palpo.services.history.drafts import Draft
from palpo.services.history.event_store import EventStore
from palpo.services.history.known_state import MAX_KEYS
from palpo.services.history.recent_events import RecentEvents
from palpo.services.history.room_heads import RoomHeads
from palpo.services.rooms.user_rooms import UserRooms
from palpo.streams.caches import CacheBudget
from palpo.streams.wakeups import Wakeups
from tests.support.homeserver import Client, Homeserver, homeserver

ALICE = "@alice:test.example"
NUMBERS = count()


def member(user_id: str, membership: str = "join") -> Draft:
    content = {"membership": membership, "displayname": f"The user {user_id}"}
    return Draft(type="m.room.member", state_key=user_id, sender=user_id, content=content)


def message(number: int, sender: str = ALICE) -> Draft:
    content = {"msgtype": "m.text", "body": f"The quick brown fox jumps over {number} lazy dogs"}
    return Draft(type="m.room.message", sender=sender, content=content)


async def public_room(server: Homeserver) -> str:
    create = Draft(
        type="m.room.create",
        state_key="",
        sender=ALICE,
        content={"room_version": "12", "number": next(NUMBERS)},
    )
    rules = Draft(type="m.room.join_rules", state_key="", sender=ALICE, content={"join_rule": "public"})
    drafts = [create, member(ALICE), rules]
    return await server.services.history.room_writer.create(room_version("12"), None, drafts)


def entries(server: Homeserver) -> dict[str, int]:
    found: dict[str, int] = {}
    for cache in server.services.server.caches.caches:
        found[cache.name] = found.get(cache.name, 0) + len(cache)
    return found


async def test_refused_requests_leave_nothing(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="private_chat")
    path = f"/rooms/{room_id}"

    async def refused(number: int) -> None:
        stranger = f"@stranger{number}:test.example"
        await bob.put(f"{path}/send/m.room.message/t{number}", {"body": "x"}, status=403)
        await bob.put(f"{path}/state/type{number}/key{number}", {}, status=403)
        await bob.put(f"{path}/state/m.room.member/{stranger}", {"membership": "invite"}, status=403)
        await bob.post(f"{path}/invite", {"user_id": stranger}, status=403)
        await bob.post(f"{path}/kick", {"user_id": stranger}, status=403)
        await bob.post(f"/join/{room_id}", {}, status=403)
        await bob.get(f"{path}/state/type{number}", status=403)
        await bob.get(f"{path}/event/$event{number}", status=404)
        await alice.get(f"{path}/event/$event{number}", status=404)
        await alice.get(f"{path}/state/type{number}/key", status=404)
        await alice.post(f"{path}/kick", {"user_id": stranger}, status=403)

    for number in range(5):
        await refused(number)
    before, held = entries(server), server.services.server.caches.bytes
    for number in range(5, 40):
        await refused(number)
    assert entries(server) == before
    assert server.services.server.caches.bytes == held


async def test_joins_do_not_make_a_join_dearer(server: Homeserver) -> None:
    """Each makes a copy of what is known of the state, which is bounded; and nobody is forgotten by that."""
    room_id = await public_room(server)
    writer, heads = server.services.history.room_writer, server.services.history.room_heads
    users = [f"@user{number}:test.example" for number in range(MAX_KEYS + 200)]
    for user_id in users:
        await writer.send(room_id, member(user_id))
    (states,) = (cache for cache in server.services.server.caches.caches if cache.name == "known_states")
    assert len(states) <= 2  # The room's, and the empty one that it was made of.
    head = await heads.get(room_id)
    assert len(states.get(head.state_root).ids) <= MAX_KEYS
    found = await heads.state(head, [("m.room.member", user_id) for user_id in users])
    assert len(found) == len(users)
    assert len(states.get(head.state_root).ids) <= MAX_KEYS
    for sender in (users[0], users[-1]):
        await writer.send(room_id, message(1, sender))


async def test_what_is_built_before_it_is_stored_needs_no_cache(tmp_path: Path) -> None:
    """Many at once are chained to each other: neither their state nor their events are stored yet."""
    async with homeserver(tmp_path, caches={"megabytes": 0}) as server:
        writer = server.services.history.room_writer
        room_id = await public_room(server)
        users = [f"@user{number}:test.example" for number in range(MAX_KEYS + 50)]
        joins = [member(user_id) for user_id in users]
        await writer.send_all(room_id, [*joins, *(message(1, user_id) for user_id in users)])
        await asyncio.gather(*(writer.send(room_id, member(user_id, "leave")) for user_id in users))
        head = await server.services.history.room_heads.get(room_id)
        state = await server.services.history.events.full_state(head.state_root)
        left = [item for item in state.values() if item.event.content.get("membership") == "leave"]
        assert len(left) == len(users)


async def test_state_is_read_whole_whatever_is_dropped_meanwhile(server: Homeserver) -> None:
    room_id = await public_room(server)
    writer = server.services.history.room_writer
    await writer.send_all(room_id, [member(f"@user{number}:test.example") for number in range(400)])
    root = (await server.services.history.room_heads.get(room_id)).state_root
    for budget in (0, 2_000, 10_000, 30_000):
        store = EventStore(server.services.server.db, server.services.server.wakeups, CacheBudget(budget))
        states = await asyncio.gather(
            *(store.read_state(state_tree.items(root)) for _ in range(5)),
            store.read_states([state_tree.items(root) for _ in range(5)]),
        )
        assert len(states[0]) == 403
        assert all(state == states[0] for state in states[:5])
        assert states[5] == [states[0]] * 5


async def test_caches_stay_within_their_budget(tmp_path: Path) -> None:
    async with homeserver(tmp_path, caches={"megabytes": 1}) as server:
        alice = await server.register("alice")
        caches = server.services.server.caches
        rooms = [await alice.create_room(name=f"Room {number}") for number in range(10)]
        for number in range(60):
            await alice.send(rooms[number % 10], "z" * 40_000)
            assert caches.bytes <= caches.limit
        for room_id in rooms:
            page = await alice.get(f"/rooms/{room_id}/messages?dir=b&limit=6")
            assert [len(event["content"]["body"]) for event in page["chunk"]] == [40_000] * 6
            assert caches.bytes <= caches.limit
        assert sum(cache.evictions for cache in caches.caches) > 50


async def test_the_metrics_say_what_caches_hold(server: Homeserver, alice: Client) -> None:
    room_id = await alice.create_room()
    event_id = await alice.send(room_id, "hello")
    await alice.get(f"/rooms/{room_id}/event/{event_id}")
    text = (await alice.request("GET", "//_palpo/metrics")).text
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("palpo_cache"))
    assert float(lines["palpo_cache_budget_bytes"]) == 128 * 1024 * 1024
    for name, number in entries(server).items():
        assert float(lines[f'palpo_cache_entries{{cache="{name}"}}']) == number
    total = sum(float(value) for name, value in lines.items() if name.startswith("palpo_cache_bytes{"))
    assert total == server.services.server.caches.bytes > 0
    assert float(lines['palpo_cache_hits_total{cache="events"}']) > 0
    assert 'palpo_cache_evictions_total{cache="events"}' in lines
    assert 'palpo_cache_misses_total{cache="sessions"}' in lines


Loading = Callable[[Database, CacheBudget, list[str], list[str]], Awaitable[object]]


async def _events(db: Database, caches: CacheBudget, rooms: list[str], users: list[str]) -> object:
    store = EventStore(db, Wakeups(), caches)
    recent = RecentEvents(db, RoomHeads(db, store, Wakeups(), CacheBudget()), CacheBudget())
    ids = [name for room in rooms for name in await recent.latest_ids(room, after=0, upto=10**9, limit=90)]
    tracemalloc.reset_peak()
    gc.collect()
    return store, len(await store.get_many(ids))


async def _heads(db: Database, caches: CacheBudget, rooms: list[str], users: list[str]) -> object:
    store = EventStore(db, Wakeups(), CacheBudget(0))
    heads = RoomHeads(db, store, Wakeups(), caches)
    for room in rooms:
        await heads.power_levels(await heads.get(room))
        await heads.state(await heads.get(room), [("m.room.member", user_id) for user_id in users])
    return heads


async def _rings(db: Database, caches: CacheBudget, rooms: list[str], users: list[str]) -> object:
    heads = RoomHeads(db, EventStore(db, Wakeups(), CacheBudget(0)), Wakeups(), CacheBudget(0))
    recent = RecentEvents(db, heads, caches)
    for room in rooms:
        await recent.last_id(room, 10**9)
    return recent


async def _memberships(db: Database, caches: CacheBudget, rooms: list[str], users: list[str]) -> object:
    user_rooms = UserRooms(db, Wakeups(), caches)
    for user_id in users:
        await user_rooms.get(user_id)
    return user_rooms


@pytest.mark.one_database
@pytest.mark.parametrize("loading", [_events, _heads, _rings, _memberships])
async def test_entries_weigh_what_they_take(server: Homeserver, loading: Loading) -> None:
    users = [f"@user{number}:test.example" for number in range(20)]
    rooms = [await public_room(server) for _ in range(20)]
    for room_id in rooms:
        drafts = [*map(member, users), *(message(number, users[number % 20]) for number in range(80))]
        await server.services.history.room_writer.send_all(room_id, drafts)
    while server.services.reading.search_index.consumer.behind:  # noqa: ASYNC110
        await asyncio.sleep(0.01)  # What it holds is not to be weighed.
    db = server.services.server.db
    warm = await loading(db, CacheBudget(), rooms, users)  # What is made once is made by now.
    del warm
    gc.collect()
    caches = CacheBudget()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        kept = await loading(db, caches, rooms, users)
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert kept is not None
    assert caches.bytes > 50_000
    assert 0.7 < caches.bytes / taken < 1.3
