"""What no server can leave out when it is told a room's state: ``python -m bench.join_floor [--members N]``.

Each step alone, in processor time for an event: the least of several runs. Who joins in less than all of them
take together has left something out.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from palpo.core import signing, state_tree
from palpo.core.auth_rules import check_auth
from palpo.core.event_hashes import encoder_again, verify_content_hash
from palpo.core.events import SignedEvent, parse_with_signed
from palpo.core.state_keys import MEMBER
from palpo.core.state_tree import EMPTY_ROOT
from palpo.db.connect import create_engine
from palpo.db.engine import Database
from palpo.db.migrations.upgrade import upgrade
from palpo.db.transaction import WriteTransaction
from palpo.storage import events as storage
from palpo.storage.events import NewEvent
from tests.support.remote_rooms import RemoteRoom
from tests.support.remote_users import KEY, SERVER

RUNS = 5
BATCH = 500


def make_room(members: int) -> RemoteRoom:
    """A room with so many members of another server."""
    room = RemoteRoom("11")
    for number in range(members):
        user = f"@user{number}:{SERVER}"
        room.add(user, (MEMBER, user), {"membership": "join", "displayname": f"User {number}"})
    return room


def least(work: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    """Seconds of the quickest run."""
    found = []
    for _ in range(RUNS):
        begun = clock()
        work()
        found.append(clock() - begun)
    return min(found)


def verify(messages: list[tuple[bytes, str]]) -> None:
    """Check signatures, one after the other."""
    for message, signature in messages:
        signing.verify(message, signature, KEY.verify_key_base64)


def verify_in_threads(messages: list[tuple[bytes, str]]) -> None:
    """The same, in two threads: the library lets go of the interpreter's lock."""
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(verify, [messages[::2], messages[1::2]]))


def authorize(room: RemoteRoom, events: list[SignedEvent]) -> None:
    """Judge each event by the auth events that it names."""
    for event in events:
        named = (room.events[name] for name in event.auth_events)
        check_auth(room.rules, event, {item.key: item for item in named})


def steps(room: RemoteRoom) -> dict[str, float]:
    """Seconds of each step, for all events."""
    events = list(room.events.values())
    bodies = [orjson.dumps(event.pdu) for event in events]
    pdus = [event.pdu for event in events]
    again = encoder_again(room.rules)
    parsed = [parse_with_signed(room.rules, pdu) for pdu in pdus]
    messages = [(signed, event.pdu["signatures"][SERVER][KEY.key_id]) for event, signed in parsed]
    state = {event.key: event.event_id for event in events}
    return {
        "JSON": least(lambda: [orjson.loads(body) for body in bodies]),
        "form, and the hash that is its ID": least(
            lambda: [parse_with_signed(room.rules, pdu) for pdu in pdus]
        ),
        "hash of its content": least(lambda: [verify_content_hash(pdu, encode=again) for pdu in pdus]),
        "signature": least(partial(verify, messages)),
        "auth rules": least(partial(authorize, room, events[1:])),
        "state tree": least(lambda: state_tree.build(state)),
        "signature in two threads, by the clock": least(
            partial(verify_in_threads, messages), time.perf_counter
        ),
    }


async def inserts(events: list[SignedEvent]) -> float:
    """Seconds until SQLite has them, with the index of auth chains."""
    new = [
        NewEvent(event=event, place=1, state_before=EMPTY_ROOT, state_after=EMPTY_ROOT, room_state=EMPTY_ROOT)
        for event in events
    ]
    found = []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite:///{Path(folder) / 'palpo.db'}"
            await asyncio.to_thread(upgrade, url)
            database = Database(create_engine(url))
            await database.open()
            found.append(await _inserted(database, new))
            await database.close()
    return min(found)


async def _inserted(database: Database, new: list[NewEvent]) -> float:
    begun = time.process_time()
    for at in range(0, len(new), BATCH):
        await database.write(partial(_insert, new[at : at + BATCH]))
    return time.process_time() - begun


async def _insert(new: list[NewEvent], tx: WriteTransaction) -> Any:
    await storage.insert(tx, new, await tx.positions(len(new)))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=1000)
    members = parser.parse_args().members
    room = make_room(members)
    count = len(room.events)
    found = steps(room)
    aside = found.popitem()
    found["rows, on SQLite"] = asyncio.run(inserts(list(room.events.values())))
    for name, seconds in [*found.items(), ("together", sum(found.values())), aside]:
        print(f"{name:40} {1e6 * seconds / count:7.1f} µs an event {seconds:7.3f} s")


if __name__ == "__main__":
    main()
