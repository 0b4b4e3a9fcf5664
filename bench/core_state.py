"""Costs of room state in memory: the tree, the index of auth chains, state resolution.

    python bench/core_state.py [--entries 100000] [--json FILE]

Times are the best of several runs, in microseconds an operation.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from timeit import repeat

from palpo.core import auth_chains, state_tree
from palpo.core.auth_rules import auth_types_for
from palpo.core.driving import drive
from palpo.core.events import SignedEvent, StateKey
from palpo.core.room_versions import RoomVersion, room_version
from palpo.core.state_resolution import MemoryRoom, resolve, split

Results = dict[str, float]
ALICE = "@alice:example.org"
CREATE, JOIN_RULES, POWER = (("m.room." + name, "") for name in ("create", "join_rules", "power_levels"))


def microseconds(operation: Callable[[], object], number: int = 500) -> float:
    """The best of five runs."""
    return round(min(repeat(operation, number=number, repeat=5)) / number * 1e6, 2)


def tree(entries: int) -> Results:
    """Single-key operations on one large state."""
    event_id = "$" + "y" * 43
    state = {("m.room.member", f"@user{n}:example.org"): f"${n:x>43}" for n in range(entries)}
    built = state_tree.build(state)
    key = ("m.room.member", "@user77:example.org")
    change = drive(state_tree.update(built.root, {key: event_id}), lambda names: built.new_nodes)
    nodes = built.new_nodes | change.new_nodes
    root = built.root
    return {
        "nodes written by a change": len(change.new_nodes),
        "bytes written by a change": sum(map(len, change.new_nodes.values())),
        "bytes an entry, whole tree": round(sum(map(len, built.new_nodes.values())) / entries, 1),
        "look-up, µs": microseconds(lambda: drive(state_tree.get(root, key), lambda names: nodes)),
        "change, µs": microseconds(
            lambda: drive(state_tree.update(root, {key: event_id}), lambda names: nodes)
        ),
        "difference of one key, µs": microseconds(
            lambda: drive(state_tree.diff(root, change.root), lambda names: nodes)
        ),
        "all entries, µs": microseconds(lambda: drive(state_tree.items(root), lambda names: nodes), 1),
    }


class Room:
    """A room that ages by joins, renames and power levels."""

    def __init__(self, rules: RoomVersion) -> None:
        self.rules = rules
        self.events: dict[str, SignedEvent] = {}
        self.state: dict[StateKey, str] = {}
        self.send(ALICE, CREATE, {"creator": ALICE})
        self.send(ALICE, ("m.room.member", ALICE), {"membership": "join"})
        self.send(ALICE, JOIN_RULES, {"join_rule": "public"})

    def send(self, sender: str, key: StateKey, content: dict[str, object]) -> None:
        keys = auth_types_for(self.rules, type=key[0], sender=sender, state_key=key[1], content=content)
        event_id = f"${len(self.events)}"
        self.events[event_id] = SignedEvent(
            event_id=event_id,
            room_id="!room:example.org",
            type=key[0],
            sender=sender,
            state_key=key[1],
            content=content,
            depth=len(self.events),
            origin_server_ts=len(self.events),
            prev_events=("$0",) if self.events else (),
            auth_events=tuple(self.state[key] for key in keys if key in self.state),
            pdu={},
        )
        self.state[key] = event_id

    def age(self, users: int) -> None:
        for number in range(users):
            user = f"@user{number}:example.org"
            self.send(user, ("m.room.member", user), {"membership": "join"})
            self.send(user, ("m.room.member", user), {"membership": "join", "displayname": "new"})
            self.send(ALICE, POWER, {"users": {ALICE: 100}})

    def forks(self) -> list[dict[StateKey, str]]:
        """Two states in conflict: a ban here, a rename and power levels there."""
        before, target = dict(self.state), ("m.room.member", "@user3:example.org")
        self.send(ALICE, target, {"membership": "ban"})
        one, self.state = self.state, dict(before)
        self.send(target[1], target, {"membership": "join", "displayname": "newer"})
        self.send(ALICE, POWER, {"users": {ALICE: 100}, "ban": 60})
        return [one, self.state]

    def index(self) -> tuple[dict[str, auth_chains.Position], dict[int, list[auth_chains.Link]]]:
        positions: dict[str, auth_chains.Position] = {}
        links: dict[int, list[auth_chains.Link]] = {}
        placer = auth_chains.Placer(positions={}, tips={}, links={}, next_chain=1)
        for event in self.events.values():
            same = auth_chains.replaced(event, [self.events[name] for name in event.auth_events])
            position, out = placer.place(event.event_id, event.auth_events, replaces=same)
            positions[event.event_id] = position
            links.setdefault(position.chain, []).extend(out)
        return positions, links


def aging(users: int) -> Results:
    """The same conflict in rooms of different age."""
    room = Room(room_version("11"))
    room.age(users)
    forks = room.forks()
    positions, links = room.index()
    agreed, conflicts = split(forks)
    sets = [[positions[name] for name in state.values()] for state in conflicts]
    memory = IndexedRoom(room.events, agreed, positions, links)
    age = f"{len(room.events)} state events"
    return {
        f"links an event, {age}": round(sum(map(len, links.values())) / len(room.events), 2),
        f"auth difference, {age}, µs": microseconds(
            lambda: drive(auth_chains.auth_difference(sets), lambda blocks: links), 50
        ),
        f"resolution, {age}, µs": microseconds(
            lambda: drive(resolve(room.rules, conflicts), memory.answer), 20
        ),
    }


class IndexedRoom(MemoryRoom):
    """Answers for auth chains from the index, as storage does."""

    def __init__(
        self,
        events: dict[str, SignedEvent],
        agreed: dict[StateKey, str],
        positions: dict[str, auth_chains.Position],
        links: dict[int, list[auth_chains.Link]],
    ) -> None:
        super().__init__(events, agreed)
        self._positions, self._links = positions, links
        self._names = {position: name for name, position in positions.items()}

    def auth_difference(self, state_sets: Sequence[Collection[str]]) -> set[str]:
        sets = [[self._positions[name] for name in state] for state in state_sets]
        spans = drive(auth_chains.auth_difference(sets), lambda blocks: self._links)
        return {
            self._names[auth_chains.Position(chain, seq)]
            for chain, first, last in spans
            for seq in range(first, last + 1)
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    results = tree(arguments.entries)
    for users in (100, 1000, 10_000):
        results |= aging(users)
    for name, value in results.items():
        print(f"{value:>12,}  {name}")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
