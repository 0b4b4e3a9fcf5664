"""What forks cost as rooms grow old, from storage: ``python bench/auth_difference.py``.

Rooms of 100, 3,000 and 30,000 state events are stored on SQLite, then forked: a ban on one side, a
rename and new power levels on the other. Two ways to grow old: *ordinary*, where people join and
rename themselves, and admins now and then set power levels; *restless*, where one admin does nothing
but rename himself and set power levels by turns, which makes as many links between two chains as can
be. The claim to hold: what a fork costs does not grow with the room's age.

Times are the best of several, in microseconds, with nothing cached but the database's own pages.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from palpo.core import state_tree
from palpo.core.auth_rules import auth_types_for
from palpo.core.events import SignedEvent, StateKey, parse_stored
from palpo.core.room_versions import room_version
from palpo.core.state_resolution.memory import auth_chain
from palpo.core.state_tree import EMPTY_ROOT
from palpo.db.connect import create_engine
from palpo.db.engine import Database
from palpo.db.migrations.upgrade import upgrade
from palpo.db.statements import Statement
from palpo.db.tables.rooms import auth_chain_links
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

ROOM = "!room:example.org"
ALICE, BOB = "@alice:example.org", "@bob:example.org"
RULES = room_version("11")
CREATE, JOIN_RULES, POWER = (("m.room." + name, "") for name in ("create", "join_rules", "power_levels"))
LEVELS = {"users": {ALICE: 100, BOB: 100}}
COUNT_LINKS = Statement(auth_chain_links.select())
REPEATS = 30
WRITTEN_AT_ONCE = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measured room. Times are microseconds."""

    links: float
    """Stored, an event."""
    write_us: float
    """To write an event to storage, all of it, when the room is that old."""
    chain: int
    """Events in the auth chains of what is in conflict: what a walk would read."""
    difference: int
    difference_us: float
    resolve_us: float


class Room:
    """A room's state events, made in memory."""

    def __init__(self) -> None:
        self.events: dict[str, SignedEvent] = {}
        self.state: dict[StateKey, str] = {}
        self.send(ALICE, CREATE, {"room_version": RULES.id})
        for user in (ALICE, BOB):
            self.rename(user, "")
            self.send(ALICE, POWER, LEVELS)
            self.send(ALICE, JOIN_RULES, {"join_rule": "public"})

    def send(self, sender: str, key: StateKey, content: dict[str, Any]) -> str:
        keys = auth_types_for(RULES, type=key[0], sender=sender, state_key=key[1], content=content)
        number = len(self.events)
        event_id = f"${number:043}"
        pdu = {
            "type": key[0],
            "state_key": key[1],
            "room_id": ROOM,
            "sender": sender,
            "content": content,
            "depth": number + 1,
            "origin_server_ts": number,
            "prev_events": [f"${number - 1:043}"] if number else [],
            "auth_events": [self.state[key] for key in keys if key in self.state],
            "hashes": {"sha256": "x" * 43},
            "signatures": {"example.org": {"ed25519:key": "x" * 86}},
        }
        self.events[event_id] = parse_stored(RULES, pdu, event_id)
        self.state[key] = event_id
        return event_id

    def rename(self, user: str, name: str) -> None:
        self.send(user, ("m.room.member", user), {"membership": "join", "displayname": name})

    def age(self, events: int, *, restless: bool) -> None:
        """Until there are so many events."""
        turn = 0
        while len(self.events) < events:
            turn += 1
            if restless:
                self.rename(ALICE, str(turn))
                self.send(ALICE, POWER, LEVELS)
                continue
            for name in ("", "new"):
                self.rename(f"@user{turn}:example.org", name)
            if turn % 10 == 0:
                self.send((ALICE, BOB)[turn % 3 == 0], POWER, LEVELS)
            if turn % 50 == 0:
                self.rename((ALICE, BOB)[turn % 3 == 0], str(turn))

    def forks(self) -> list[dict[StateKey, str]]:
        """Two states in conflict."""
        before, target = dict(self.state), "@user3:example.org"
        self.send(ALICE, ("m.room.member", target), {"membership": "ban"})
        one, self.state = self.state, dict(before)
        self.rename(target, "newer")
        self.send(BOB, POWER, LEVELS | {"ban": 60})
        return [one, self.state]


async def write(database: Database, events: list[SignedEvent]) -> float:
    """Store events, twenty at once; seconds for one at the end, in the best of ten writes."""
    seconds = []
    for start in range(0, len(events), WRITTEN_AT_ONCE):
        new = [
            NewEvent(event=event, state_before=EMPTY_ROOT, state_after=EMPTY_ROOT, room_state=EMPTY_ROOT)
            for event in events[start : start + WRITTEN_AT_ONCE]
        ]

        async def unit(tx: WriteTransaction, new: list[NewEvent] = new) -> None:
            await events_storage.insert(tx, new, await tx.positions(len(new)))

        began = time.perf_counter()
        await database.write(unit)
        seconds.append((time.perf_counter() - began) / len(new))
    return min(seconds[-10:])


async def store_nodes(database: Database, nodes: dict[bytes, bytes]) -> None:
    """Write nodes of the state tree."""
    await database.write(lambda tx: state_storage.insert_nodes(tx, nodes))


async def best_us(call: Callable[[], Awaitable[object]]) -> float:
    """The best time of ``call``, over REPEATS."""
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        await call()
        times.append(time.perf_counter() - began)
    return min(times) * 1e6


async def measure(directory: Path, age: int, *, restless: bool) -> Row:
    """Make a room, store it, and look at what its fork costs."""
    url = f"sqlite:///{directory / f'{age}-{restless}.db'}"
    await asyncio.to_thread(upgrade, url)
    database = Database(create_engine(url))
    await database.open()
    room = Room()
    room.age(age, restless=restless)
    states = room.forks()
    head = HeadRow(
        room_id=ROOM,
        version=RULES.id,
        create_event_id=room.state[CREATE],
        head=0,
        extremities=(),
        depth=1,
        state_root=EMPTY_ROOT,
    )
    await database.write(lambda tx: rooms_storage.insert_heads(tx, [head]))
    seconds = await write(database, list(room.events.values()))
    built = [state_tree.build(state) for state in states]
    for tree in built:
        await store_nodes(database, tree.new_nodes)
    one, other = (set(state.values()) for state in states)
    sets = [one - other, other - one]
    chains = AuthChains(database)

    async def resolve() -> None:
        resolver = StateResolver(EventStore(database, Wakeups(), CacheBudget()), chains)
        update = await resolver.resolve(RULES, [tree.root for tree in built])
        assert update.root != built[1].root

    row = Row(
        links=len(await database.read(lambda tx: tx.all(COUNT_LINKS))) / len(room.events),
        write_us=seconds * 1e6,
        chain=len(auth_chain(room.events, sets[0] | sets[1])),
        difference=len(await chains.difference(sets)),
        difference_us=await best_us(lambda: chains.difference(sets)),
        resolve_us=await best_us(resolve),
    )
    await database.close()
    return row


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ages", type=int, nargs="+", default=[100, 3000, 30_000])
    arguments = parser.parse_args()
    print(
        f"{'room':>9}{'state events':>13} |{'links each':>11}{'write µs':>9} |"
        f"{'auth chain':>11}{'difference':>11}{'µs':>8} |{'resolution µs':>14}"
    )
    with tempfile.TemporaryDirectory() as directory:
        for restless in (False, True):
            for age in arguments.ages:
                row = asyncio.run(measure(Path(directory), age, restless=restless))
                print(
                    f"{('ordinary', 'restless')[restless]:>9}{age:>13} |{row.links:>11.2f}"
                    f"{row.write_us:>9.1f} |{row.chain:>11}{row.difference:>11}{row.difference_us:>8.0f} |"
                    f"{row.resolve_us:>14.0f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
