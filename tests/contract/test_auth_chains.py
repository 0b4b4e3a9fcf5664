"""The index of auth chains, on every database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

from palpo.core.auth_chains import BLOCK, Block, Link, Position, Span
from palpo.core.events import SignedEvent
from palpo.core.state_resolution.memory import auth_chain, auth_difference, conflicted_subgraph
from palpo.core.state_tree import EMPTY_ROOT
from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.services.history.auth_chains import AuthChains
from palpo.storage import auth_chains as storage
from palpo.storage import events as events_storage
from palpo.storage.events import NewEvent
from tests.core.state_rooms import ALICE, BOB, CHARLIE, Room, member


async def write(database: Database, events: Iterable[SignedEvent]) -> None:
    """Store events and index them, as writers of rooms do."""
    new = [
        NewEvent(event=event, place=1, state_before=EMPTY_ROOT, state_after=EMPTY_ROOT, room_state=EMPTY_ROOT)
        for event in events
    ]

    async def unit(tx: WriteTransaction) -> None:
        first = await tx.positions(len(new))
        await events_storage.insert(tx, new, first)

    await database.write(unit)


async def positions(database: Database, *event_ids: str) -> list[Position | None]:
    found = await database.read(lambda tx: storage.positions(tx, event_ids))
    return [found.get(event_id) for event_id in event_ids]


def forked() -> tuple[dict[str, SignedEvent], list[set[str]]]:
    """A room whose members and power levels changed on two forks; its events, and the forks' states."""
    main = Room("11").start()
    for number in range(5):
        main.power(f"$power{number}", ALICE, {BOB: 50 + number})
        main.send(f"$rename{number}", BOB, member(BOB), {"membership": "join"})
    one, other = main.fork(), main.fork()
    one.power("$one-power", ALICE, {BOB: 90})
    one.topic("$one", BOB)
    one.send("$one-rename", BOB, member(BOB), {"membership": "join"})
    other.ban("$ban", BOB, CHARLIE)
    other.send("$other-rename", BOB, member(BOB), {"membership": "join"})
    other.power("$other-power", BOB, {BOB: 50})
    return main.room.events, [set(one.state.values()), set(other.state.values())]


@pytest.mark.parametrize("group", [1, 3, 100], ids=lambda group: f"groups of {group}")
async def test_agrees_with_walks_over_the_graph(database: Database, group: int) -> None:
    events, states = forked()
    order = list(events.values())
    for start in range(0, len(order), group):
        await write(database, order[start : start + group])
    chains = AuthChains(database)
    assert await chains.difference(states) == auth_difference(events, states)
    ends = (states[0] ^ states[1]) | {"$power0"}
    between = conflicted_subgraph(events, ends)
    assert len(between) > len(ends)
    assert await chains.subgraph(ends) == between
    for event_id in events:
        assert await chains.difference([{event_id}, set()]) == auth_chain(events, [event_id])
        assert await chains.of([event_id]) == auth_chain(events, [event_id]) - {event_id}
    whole = auth_chain(events, states[0])
    rested_on = {name for event_id in whole for name in events[event_id].auth_events}
    assert await chains.of(states[0]) == rested_on
    assert await chains.of([]) == set()
    assert await chains.shared(events, ["$ban"]) == auth_chain(events, ["$ban"])
    assert await chains.shared(["$ban", "$power"], ["$one"]) == {"$power"}


async def test_long_chains_are_read_where_they_end(database: Database) -> None:
    main = Room("11").start()
    for number in range(2 * BLOCK + 10):
        main.send(f"$alice{number}", ALICE, member(ALICE), {"membership": "join"})
        main.power(f"$power{number}", ALICE, {BOB: 50})
    order = list(main.room.events.values())
    for start in range(0, len(order), 30):
        await write(database, order[start : start + 30])
    chains = AuthChains(database)
    events, last = main.room.events, f"$power{2 * BLOCK + 9}"
    for ends in ({last, "$power3"}, {last, f"$alice{2 * BLOCK}"}, {f"$alice{BLOCK}", "$create"}):
        sets = [{end} for end in ends]
        assert await chains.difference(sets) == auth_difference(events, sets)
        assert await chains.subgraph(ends) == conflicted_subgraph(events, ends)
    power, alice = await positions(database, last, f"$alice{2 * BLOCK + 9}")
    assert power is not None
    assert alice is not None
    assert power.seq > 2 * BLOCK
    found = await database.read(lambda tx: storage.links(tx, [Block(power.chain, 2 * BLOCK)]))
    assert len(found[power.chain]) < 20
    assert found[power.chain][0].from_seq == 2 * BLOCK
    assert Link(power.seq, *alice) in found[power.chain]


async def test_what_is_known_is_found_however_far_down(database: Database) -> None:
    events, _ = forked()
    await write(database, events.values())
    chains = AuthChains(database)
    padding = [f"$unknown{number}" for number in range(1200)]
    assert await chains.shared(["$create", "$ban"], [*padding, "$one"]) == {"$create"}
    assert await chains.difference([{"$unknown"}, {"$create"}]) == {"$create"}
    assert await chains.difference([]) == set()
    assert await chains.subgraph(["$unknown"]) == set()


async def test_chains_go_on_and_fork_across_transactions(database: Database) -> None:
    main = Room("11").start()
    begun = list(main.room.events.values())
    await write(database, begun)
    one, other = main.fork(), main.fork()
    await write(database, [one.power("$one", ALICE, {BOB: 60})])
    await write(database, [other.power("$other", ALICE, {BOB: 70})])
    await write(database, [one.power("$two", ALICE, {BOB: 80})])
    before, first, forked, second = await positions(database, "$power", "$one", "$other", "$two")
    assert before is not None
    assert forked is not None
    assert first == Position(before.chain, before.seq + 1)
    assert second == Position(before.chain, before.seq + 2)
    assert forked.chain != before.chain
    assert forked.seq == 1
    links = await database.read(lambda tx: storage.links(tx, [Block(forked.chain, 0)]))
    # That it rests on Alice and the create event follows from the power levels before.
    assert links == {forked.chain: [Link(1, before.chain, before.seq)]}


async def test_rooms_of_one_group_keep_to_themselves(database: Database) -> None:
    rooms: list[Mapping[str, SignedEvent]] = []
    mixed: list[SignedEvent] = []
    for number in range(3):
        fork = Room("11").start()
        rooms.append({f"{name}-{number}": event for name, event in fork.room.events.items()})
        mixed += [renamed(event, number) for event in fork.room.events.values()]
    # Message events among them take positions, and no place in the index.
    mixed.append(message(mixed[0]))
    await write(database, mixed[:7])
    await write(database, mixed[7:])
    found = await database.read(lambda tx: storage.positions(tx, [event.event_id for event in mixed]))
    assert set(found) == {event.event_id for event in mixed if event.is_state}
    of_rooms = [{found[name].chain for name in room} for room in rooms]
    assert not of_rooms[0] & of_rooms[1]
    assert not of_rooms[1] & of_rooms[2]
    assert len(set(found.values())) == len(found)


def renamed(event: SignedEvent, number: int) -> SignedEvent:
    return SignedEvent(
        event_id=f"{event.event_id}-{number}",
        room_id=f"!{number}",
        type=event.type,
        sender=event.sender,
        state_key=event.state_key,
        content=event.content,
        depth=event.depth,
        origin_server_ts=event.origin_server_ts,
        prev_events=event.prev_events,
        auth_events=tuple(f"{name}-{number}" for name in event.auth_events),
        pdu={},
    )


def message(create: SignedEvent) -> SignedEvent:
    return SignedEvent(
        event_id="$message",
        room_id=create.room_id,
        type="m.room.message",
        sender=create.sender,
        state_key=None,
        content={},
        depth=9,
        origin_server_ts=1,
        prev_events=(create.event_id,),
        auth_events=(create.event_id,),
        pdu={},
    )


async def test_spans_name_events(database: Database) -> None:
    main = Room("11").start()
    main.power("$second", ALICE, {BOB: 51})
    main.power("$third", ALICE, {BOB: 52})
    await write(database, main.room.events.values())
    power, create = await positions(database, "$power", "$create")
    assert power is not None
    assert create is not None
    spans = [Span(power.chain, 2, 3), Span(create.chain, 1, 1), Span(power.chain + 1000, 1, 1)]
    assert await database.read(lambda tx: storage.event_ids(tx, spans)) == {"$second", "$third", "$create"}
    spans = [Span(power.chain, 3, 9)]
    assert await database.read(lambda tx: storage.event_ids(tx, spans)) == {"$third"}
    assert await database.read(lambda tx: storage.event_ids(tx, [])) == set()
