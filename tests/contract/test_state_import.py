"""States that other servers tell, on every database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from palpo.core import state_tree
from palpo.core.errors import BadJson
from palpo.core.events import SignedEvent, StateKey
from palpo.core.records.events import EventStatus
from palpo.core.room_versions import room_version
from palpo.core.state_keys import CREATE, MEMBER, POWER_LEVELS, TOPIC
from palpo.db.engine import Database
from palpo.services.history.auth_chains import AuthChains
from palpo.services.history.state_import import BATCH
from palpo.storage import events as events_storage
from tests.support.homeserver import Homeserver, homeserver
from tests.support.loop_turns import with_turns
from tests.support.remote_rooms import RemoteRoom
from tests.support.remote_users import BOB, CAROL, SERVER


@pytest.fixture
async def server(database: Database, database_url: str, tmp_path: Path) -> AsyncIterator[Homeserver]:
    async with homeserver(tmp_path, database={"url": database_url}) as made:
        yield made


async def store(server: Homeserver, room: RemoteRoom, *more: SignedEvent) -> dict[StateKey, str]:
    """What is stored of the room's state and ``more`` of it."""
    state = {**room.state, **{event.key: event for event in more}}
    given = list(state.values())
    history = server.services.history
    root = await history.state_import.store(room.rules, room.room_id, given, room.auth_chain(given))
    return await history.events.read_state(state_tree.items(root))


async def status(server: Homeserver, event: SignedEvent) -> EventStatus | None:
    name = event.event_id
    known = await server.services.server.db.read(lambda tx: events_storage.statuses(tx, [name]))
    return known.get(name)


@pytest.mark.parametrize("version", ["1", "11", "12"])
async def test_a_state_is_stored(server: Homeserver, version: str) -> None:
    room = RemoteRoom(version)
    room.add(BOB, TOPIC, {"topic": "first"})
    topic = room.add(BOB, TOPIC, {"topic": "second"})
    position = server.services.server.wakeups.position
    assert await store(server, room) == {key: event.event_id for key, event in room.state.items()}
    assert await status(server, topic) is EventStatus.OUTLIER
    assert await store(server, room) == {key: event.event_id for key, event in room.state.items()}
    chains = AuthChains(server.services.server.db)
    sets = [[room.state[MEMBER, BOB].event_id], [topic.event_id]]
    assert await chains.difference(sets) == {
        topic.event_id,
        room.state[POWER_LEVELS].event_id,
    }
    assert server.services.server.wakeups.position == position


async def test_what_is_not_allowed_and_rests_on_that_is_left_out(server: Homeserver) -> None:
    room = RemoteRoom()
    join = room.event(CAROL, (MEMBER, CAROL), {"membership": "join"})
    state = {**room.state, join.key: join}
    topic = room.event(CAROL, TOPIC, {"topic": "mine"}, state=state)
    assert await store(server, room, join) == {
        **{key: event.event_id for key, event in room.state.items()},
        join.key: join.event_id,
    }
    levels = room.event(CAROL, POWER_LEVELS, {"users": {CAROL: 100}}, state=state)
    by_levels = room.event(CAROL, TOPIC, {"topic": "mine"}, state={**state, levels.key: levels})
    found = await store(server, room, join, by_levels)
    assert await status(server, topic) is None
    assert await status(server, levels) is EventStatus.REJECTED
    assert await status(server, by_levels) is EventStatus.REJECTED
    assert TOPIC not in found
    assert found[POWER_LEVELS] == room.state[POWER_LEVELS].event_id


async def test_what_cannot_be_judged_is_left_out(server: Homeserver) -> None:
    room = RemoteRoom()
    levels = room.event(BOB, POWER_LEVELS, {"users": {BOB: 100}, "state_default": 0})
    topic = room.event(BOB, TOPIC, {"topic": "t"}, state={**room.state, levels.key: levels})
    state = [*room.state.values(), topic]
    chain = [event for event in room.auth_chain(state) if event is not levels]
    history = server.services.history
    root = await history.state_import.store(room.rules, room.room_id, state, chain)
    assert TOPIC not in await history.events.read_state(state_tree.items(root))
    assert await status(server, topic) is None
    assert (await store(server, room, topic))[TOPIC] == topic.event_id


async def test_what_an_outlier_rests_on_is_judged_again(server: Homeserver) -> None:
    """An event may be an outlier because there is no verdict on it yet."""
    room = RemoteRoom()
    await store(server, room)
    levels = room.event(CAROL, POWER_LEVELS, {"users": {CAROL: 100}})
    await server.services.history.admission.store_outlier(levels, {})
    assert (await store(server, room, levels)).get(POWER_LEVELS) is None
    assert await status(server, levels) is EventStatus.REJECTED


async def test_what_is_no_state_of_the_room_is_refused(server: Homeserver) -> None:
    room, other = RemoteRoom(), RemoteRoom("12")
    imports = server.services.history.state_import
    foreign = other.add(BOB, TOPIC, {"topic": "t"})
    with pytest.raises(BadJson, match="another room"):
        await imports.store(room.rules, room.room_id, [*room.state.values(), foreign], [])
    message = room.event(BOB, "m.room.message", {"body": "b"})
    with pytest.raises(BadJson, match="no state event"):
        await imports.store(room.rules, room.room_id, [*room.state.values(), message], [])
    second = room.event(BOB, POWER_LEVELS, {})
    with pytest.raises(BadJson, match="two events"):
        await imports.store(room.rules, room.room_id, [*room.state.values(), second], [])
    with pytest.raises(BadJson, match="create event"):
        await imports.store(room.rules, room.room_id, [room.state[POWER_LEVELS]], [])
    await store(server, room)
    with pytest.raises(BadJson, match="version"):
        await imports.store(room_version("10"), room.room_id, list(room.state.values()), [])


async def test_an_id_that_was_chosen_twice_is_refused(server: Homeserver) -> None:
    room = RemoteRoom("1")
    first = room.event(BOB, TOPIC, {"topic": "one"}, event_id=f"$topic:{SERVER}")
    second = room.event(BOB, TOPIC, {"topic": "two"}, event_id=f"$topic:{SERVER}")
    history = server.services.history
    state = list(room.state.values())
    with pytest.raises(BadJson, match="another event"):
        await history.state_import.store(room.rules, room.room_id, [*state, first], [second])
    assert (await store(server, room, first))[TOPIC] == first.event_id
    with pytest.raises(BadJson, match="another event"):
        await history.state_import.store(room.rules, room.room_id, [*state, second], [])
    root = await history.state_import.store(room.rules, room.room_id, [*state, first], [])
    assert (await history.events.read_state(state_tree.items(root)))[TOPIC] == first.event_id


async def test_what_rests_on_itself_is_left_out(server: Homeserver) -> None:
    """IDs of version 1 are chosen, so two events may name each other."""
    room = RemoteRoom("1")
    name = f"$circle:{SERVER}"
    room.events[name] = room.event(CAROL, (MEMBER, CAROL), {"membership": "join"}, event_id=name)
    other = room.event(CAROL, TOPIC, {"topic": "t"}, auth=[name])
    circle = room.event(CAROL, (MEMBER, CAROL), {"membership": "join"}, event_id=name, auth=[other.event_id])
    assert set(await store(server, room, circle, other)) == set(room.state)
    assert await status(server, circle) is None


async def test_a_large_state_leaves_turns_to_others(server: Homeserver) -> None:
    room = RemoteRoom()
    for number in range(3 * BATCH):
        user = f"@{number}:{SERVER}"
        room.add(user, (MEMBER, user), {"membership": "join"})
    found, turns = await with_turns(store(server, room))
    assert len(found) == len(room.state)
    assert turns > 20


async def test_nobody_begins_a_room_of_others(server: Homeserver) -> None:
    """Nor is what they say of it what it is from then on."""
    room, false = RemoteRoom("11"), RemoteRoom("10")
    imports = server.services.history.state_import
    create = false.event(f"@mallory:elsewhere.{SERVER}", CREATE, {"room_version": "10"}, after=())
    with pytest.raises(BadJson, match="create event is not allowed"):
        await imports.store(false.rules, room.room_id, [create], [])
    assert set(await store(server, room)) == set(room.state)
