"""State resolution from storage, against the same from memory."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Collection, Iterable
from pathlib import Path
from typing import Any

import pytest

from palpo.core import state_tree
from palpo.core.canonical_json import to_json
from palpo.core.events import SignedEvent, StateKey, parse_stored
from palpo.core.records.events import EventStatus
from palpo.core.room_versions import EventIdFormat, RoomVersion
from palpo.core.state_resolution import resolve_states
from palpo.core.state_tree import EMPTY_ROOT
from palpo.db.connect import create_engine
from palpo.db.engine import Database
from palpo.db.migrations.upgrade import upgrade
from palpo.db.transaction import WriteTransaction
from palpo.services.history.auth_chains import AuthChains
from palpo.services.history.event_store import EventStore
from palpo.services.history.state_resolver import StateResolver
from palpo.storage import events as events_storage
from palpo.storage import rooms as rooms_storage
from palpo.storage import state as state_storage
from palpo.storage.events import NewEvent
from palpo.storage.rooms import HeadRow
from palpo.streams.caches import CacheBudget
from palpo.streams.wakeups import Wakeups
from tests.core.state_rooms import ALICE, BOB, CHARLIE, EVE, JOIN_RULES, POWER, TOPIC, Fork, Room, member

EVERY = pytest.mark.parametrize("version", ["1", "2", "6", "11", "12"])
MODERN = pytest.mark.parametrize("version", ["2", "11", "12"])
State = dict[StateKey, str]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """An empty database of its own."""
    url = f"sqlite:///{tmp_path / 'palpo.db'}"
    upgrade(url)
    database = Database(create_engine(url))
    await database.open()
    yield database
    await database.close()


def as_stored(rules: RoomVersion, event: SignedEvent) -> SignedEvent:
    """``event`` with the PDU that storage reads it from."""
    refer = (lambda name: [name, {}]) if rules.event_id_format is EventIdFormat.CHOSEN else str
    pdu: dict[str, Any] = {
        "type": event.type,
        "state_key": event.state_key,
        "sender": event.sender,
        "content": event.content,
        "depth": event.depth,
        "origin_server_ts": event.origin_server_ts,
        "prev_events": [refer(name) for name in event.prev_events],
        "auth_events": [refer(name) for name in event.auth_events],
        "hashes": {},
        "signatures": {},
    }
    if not (rules.create_event_is_room_id and event.type == "m.room.create"):
        pdu["room_id"] = event.room_id
    if rules.event_id_format is EventIdFormat.CHOSEN:
        pdu["event_id"] = event.event_id
    return parse_stored(rules, pdu, event.event_id)


async def store(database: Database, room: Room, rejected: Collection[str]) -> None:
    """Write the room's events, each group of them in a transaction of its own."""
    head = HeadRow(
        room_id=room.room_id,
        version=room.rules.id,
        create_event_id="$create",
        head=0,
        extremities=(),
        depth=1,
        state_root=EMPTY_ROOT,
    )
    await database.write(lambda tx: rooms_storage.insert_heads(tx, [head]))
    events = [as_stored(room.rules, event) for event in room.events.values()]
    for start in range(0, len(events), 4):
        await store_events(database, events[start : start + 4], rejected)


async def store_events(database: Database, events: list[SignedEvent], rejected: Collection[str]) -> None:
    new = [
        NewEvent(
            event=event,
            place=event.depth,
            state_before=EMPTY_ROOT,
            state_after=EMPTY_ROOT,
            room_state=EMPTY_ROOT,
            status=EventStatus.REJECTED if event.event_id in rejected else EventStatus.ACCEPTED,
        )
        for event in events
    ]

    async def unit(tx: WriteTransaction) -> None:
        first = await tx.positions(len(new))
        await events_storage.insert(tx, new, first)

    await database.write(unit)


async def resolved(database: Database, *forks: Fork, rejected: Collection[str] = ()) -> State:
    """What the forks' states come to, once all is in storage and nothing in memory."""
    room = forks[0].room
    await store(database, room, rejected)
    roots = [await store_state(database, fork.state) for fork in forks]
    events = EventStore(database, Wakeups(), CacheBudget())
    resolver = StateResolver(events, AuthChains(database))
    update = await resolver.resolve(room.rules, roots)
    await database.write(lambda tx: state_storage.insert_nodes(tx, update.new_nodes))
    return await EventStore(database, Wakeups(), CacheBudget()).read_state(state_tree.items(update.root))


async def store_state(database: Database, state: State) -> bytes:
    built = state_tree.build(state)
    await database.write(lambda tx: state_storage.insert_nodes(tx, built.new_nodes))
    return built.root


def expected(*forks: Fork, rejected: Collection[str] = ()) -> State:
    """The same, all in memory."""
    room = forks[0].room
    return resolve_states(room.rules, [fork.state for fork in forks], room.events, rejected)


def act(fork: Fork, number: int, choose: random.Random) -> None:
    """Something that someone does, if the room lets them."""
    actor, target = choose.choice((ALICE, BOB, CHARLIE, EVE)), choose.choice((BOB, CHARLIE, EVE))
    levels = fork.room.users({BOB: 50, target: choose.randrange(0, 100, 10)})
    actions: list[tuple[StateKey, dict[str, Any]]] = [
        (TOPIC, {"topic": str(number)}),
        (member(actor), {"membership": "join"}),
        (member(target), {"membership": choose.choice(("leave", "ban", "invite"))}),
        (POWER, {"users": levels}),
        (JOIN_RULES, {"join_rule": choose.choice(("invite", "public"))}),
    ]
    key, content = choose.choice(actions)
    fork.try_send(f"$step{number}", actor, key, content, choose.randrange(10))


@EVERY
@pytest.mark.parametrize("seed", range(8))
async def test_agrees_with_memory(database: Database, version: str, seed: int) -> None:
    choose = random.Random(f"{version}-{seed}")
    main = Room(version).start()
    forks = [main.fork() for _ in range(2 + seed % 2)]
    for number in range(40):
        act(choose.choice(forks), number, choose)
    states = [fork.state for fork in forks]
    assert states[0] != states[1]
    assert await resolved(database, *forks) == expected(*forks)


@MODERN
async def test_a_ban_beats_what_the_banned_does_meanwhile(database: Database, version: str) -> None:
    main = Room(version).start()
    one, other = main.fork(), main.fork()
    one.ban("$ban", ALICE, BOB)
    other.power("$bobs", BOB, {BOB: 50, EVE: 10})
    other.topic("$topic", BOB)
    state = await resolved(database, one, other)
    assert state[member(BOB)] == "$ban"
    assert state[POWER] == "$power"
    assert TOPIC not in state


@MODERN
async def test_events_only_in_the_auth_difference_can_enter(database: Database, version: str) -> None:
    main = Room(version).start()
    main.join(EVE)
    partial = main.fork()
    partial.send("$eves", EVE, ("org.example", EVE), {}, check=False)
    for fork in (main, partial):
        del fork.state[member(EVE)]
    state = await resolved(database, main, partial)
    assert state[member(EVE)] == f"$join-{EVE}"
    assert state == expected(main, partial)


@MODERN
async def test_rejected_auth_events_are_not_used(database: Database, version: str) -> None:
    main = Room(version).start()
    main.send("$open-topics", ALICE, POWER, {"users": main.room.users({}), "state_default": 0})
    main.join_rule("$closed", ALICE, "invite")
    one, other = main.fork(), main.fork()
    one.topic("$one", ALICE, ts=50)
    other.send("$sneak", EVE, member(EVE), {"membership": "join"}, check=False)
    other.topic("$eves", EVE, ts=60)
    del other.state[member(EVE)]
    assert expected(one, other)[TOPIC] == "$eves"
    assert (await resolved(database, one, other, rejected=["$sneak"]))[TOPIC] == "$one"


@MODERN
async def test_what_lies_below_the_unconflicted_state(database: Database, version: str) -> None:
    main = Room(version).start()
    old = main.state[member(BOB)]
    main.send("$renamed", BOB, member(BOB), {"membership": "join", "displayname": "B"})
    for number in range(600):
        main.state["org.example", str(number)] = "$public"
    one, other = main.fork(), main.fork()
    one.topic("$one", ALICE, ts=9)
    other.topic("$other", BOB, ts=8, auth=[*(() if version == "12" else ["$create"]), "$power", old])
    state = await resolved(database, one, other)
    assert state[TOPIC] == "$one"
    assert state[member(BOB)] == "$renamed"
    assert state == expected(one, other)


async def test_equal_states_need_nothing(database: Database) -> None:
    main = Room("11").start()
    root = await store_state(database, main.state)
    resolver = StateResolver(EventStore(database, Wakeups(), CacheBudget()), AuthChains(database))
    for roots in ([root], [root, root]):
        update = await resolver.resolve(main.room.rules, roots)
        assert update.root == root
        assert update.new_nodes == {}


async def test_only_changed_keys_are_written(database: Database) -> None:
    main = Room("11").start()
    people = {member(f"@user{number}:example.org"): f"$user{number}" for number in range(1000)}
    main.state |= people
    one, other = main.fork(), main.fork()
    one.topic("$one", ALICE)
    other.topic("$other", BOB)
    await store(database, main.room, ())
    roots = [await store_state(database, fork.state) for fork in (one, other)]
    events = EventStore(database, Wakeups(), CacheBudget())
    for order, new in ((roots, True), (list(reversed(roots)), False)):
        update = await StateResolver(events, AuthChains(database)).resolve(main.room.rules, order)
        assert update.root == roots[1]
        assert 0 < len(update.new_nodes) < 6 if new else not update.new_nodes


def test_the_scenarios_are_as_stored() -> None:
    for version in ("1", "6", "12"):
        room = Room(version).start().room
        for event in room.events.values():
            assert same(as_stored(room.rules, event)) == same(event)


def same(event: SignedEvent) -> Iterable[object]:
    return event.event_id, event.room_id, event.key, event.sender, event.auth_events, to_json(event.content)
