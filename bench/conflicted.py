"""What it costs to merge two forks of a room: ``python -m bench.conflicted [--events N] [--ages N …]``.

Each fork has changed the same half as many pieces of state, most of them members' names; one tenth of the
members were also kicked in one fork. A server of ours, in this process, has followed the one, and takes in an
event that follows a gap in the other: then the state is that of both. ``age`` is how often everybody had
changed before: what a merge costs may not depend on it.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from palpo.cli.memory import bound_allocator, settle_collector
from palpo.core.events import SignedEvent, StateKey
from palpo.core.state_keys import MEMBER
from palpo.streams.loop_watch import Held, LoopWatch
from tests.support.homeserver import Homeserver, homeserver
from tests.support.remote_rooms import RemoteRoom, import_state, join
from tests.support.remote_users import BOB, SERVER

CPU_S, HELD_MS = 2, 50
VERSIONS = ("11", "12")
KICKED = 10
"""One in so many."""


@dataclass(slots=True)
class Fork:
    """Where a room stands."""

    state: dict[StateKey, SignedEvent]
    last: tuple[str, ...]

    @classmethod
    def of(cls, room: RemoteRoom) -> Fork:
        """A room as it is."""
        return cls(dict(room.state), room.last)

    def enter(self, room: RemoteRoom) -> None:
        """Have the room go on from here."""
        room.state, room.last = dict(self.state), self.last


def everybody(room: RemoteRoom, members: int, name: str, *, kicks: bool = False) -> None:
    """All members call themselves otherwise; some are kicked."""
    for number in range(members):
        user = f"@user{number}:{SERVER}"
        content = {"membership": "join", "displayname": f"{name} {number}"}
        if kicks and number % KICKED == 0:
            room.add(BOB, (MEMBER, user), {"membership": "leave"})
        else:
            room.add(user, (MEMBER, user), content)


async def run(folder: Path, version: str, members: int, age: int) -> None:
    """Merge, and print what it took."""
    room = RemoteRoom(version)
    for turn in range(1 + age):
        everybody(room, members, f"Turn {turn}")
    before = Fork.of(room)
    everybody(room, members, "Other")
    other = Fork.of(room)
    before.enter(room)
    everybody(room, members, "One", kicks=True)
    async with homeserver(folder, federation={"enabled": True}) as ours:
        alice = await ours.register("alice")
        await join(ours, room, alice)
        one = Fork.of(room)
        other.enter(room)
        root = await import_state(ours, room)
        event = room.add(BOB, "m.room.message", {"msgtype": "m.text", "body": "hello"})
        settle_collector()
        await measured(f"version {version}, age {age}", ours, room, event, root)
        differs = sum(one.state[key].event_id != item.event_id for key, item in other.state.items())
        assert 2 * differs >= 2 * members


async def measured(what: str, server: Homeserver, room: RemoteRoom, event: SignedEvent, root: bytes) -> None:
    """Take the event in."""
    history = server.services.history
    held: list[Held] = []
    build = partial(history.admission.build, events=[event], states={event.event_id: root})
    begun, cpu = time.perf_counter(), time.process_time()
    with LoopWatch(held.append, limit_s=HELD_MS / 5000):
        written = await history.room_writer.admit(room.room_id, build)
    taken, cpu = time.perf_counter() - begun, time.process_time() - cpu
    assert [item.event_id for item in written] == [event.event_id]
    longest = max(held, key=_seconds, default=None)
    print(f"{what}: merged in {taken:.1f} s, {cpu:.1f} s of the processor (bar: {CPU_S})")
    print(f"loop held for {1000 * _seconds(longest):.0f} ms (bar: {HELD_MS}) {_where(longest)}")


def _seconds(held: Held | None) -> float:
    return 0.0 if held is None else held.seconds


def _where(held: Held | None) -> str:
    return "" if held is None else held.where[-200:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000, help="in conflict, of both forks together")
    parser.add_argument("--ages", type=int, nargs="+", default=[0, 5])
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    bound_allocator()
    for version in VERSIONS:
        for age in arguments.ages:
            with tempfile.TemporaryDirectory() as name:
                asyncio.run(run(Path(name), version, arguments.events // 2, age))


if __name__ == "__main__":
    main()
