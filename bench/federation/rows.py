"""What is measured."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import median, quantiles

import orjson

from bench.federation.bench import BOB, HOST, Bench, settled
from bench.federation.clients import delivery, join, members, new_mark, position, seen
from bench.federation.remote import Remote, remote
from bench.federation.rooms import Room, server_of
from bench.federation.servers import Federated, Watch, memory_mib, running
from bench.federation.town import named
from bench.side_by_side.matrix import User, register
from palpo.core.events import SignedEvent

SENDERS = 16
PDUS = 50
ROOMS = 50
FORKS = 100
SENDS = 5
HEALTHY = 50
MESSAGES = 5
ACQUAINTED, ACQUAINTED_S = 4, 30
TOLD_S = 300
"""How long transactions may take until a client has their events."""


@dataclass(slots=True)
class Figures:
    """What a row has measured, by its lines' names."""

    values: dict[str, float] = field(default_factory=dict)
    unfinished: bool = False
    """Whether it was given up: the seconds are a bound then."""

    def watched(self, watch: Watch, *, each: int = 0) -> None:
        """Add what a server took: CPU milliseconds for each of so many, or CPU seconds."""
        self.values["cpu"] = 1000 * watch.cpu / each if each else watch.cpu
        self.values["peak"] = watch.peak
        self.values["memory"] = watch.after


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A figure of a row: it has to be ``times`` as good as Synapse's, and ``bound`` at the worst."""

    name: str
    title: str
    unit: str
    more: bool = False
    """Whether more is better."""
    times: float | None = None
    bound: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What is measured on a server, or with two, on each pair of them."""

    name: str
    title: str
    lines: tuple[Line, ...]
    measure: Callable[..., Awaitable[Figures]]
    """With the bench and one kind of server, or two."""
    pairs: bool = False


def _cpu(unit: str, *, bound: float | None = None) -> Line:
    return Line(name="cpu", title="of the processor", unit=unit, bound=bound)


MEMORY = (
    Line(name="peak", title="memory, at most", unit="MiB", times=1),
    Line(name="memory", title="memory, afterwards", unit="MiB", times=1),
)


async def sends(bench: Bench, first: str, second: str) -> Figures:
    """Messages of a user of the first server to a user of the second."""
    async with bench.running(first, second) as (_, (one, two)):
        alice, bob = await register(one.port, "alice"), await register(two.port, "bob")
        room_id = await alice.create_room()
        await join(bob, room_id, one.place.server_name)
        since = await position(bob)
        await settled(one, two)
        figures, times = Figures(), []
        for number in range(bench.sizes.deliveries + 3):
            taken, since = await delivery(alice, bob, room_id, since)
            times += [taken] if number >= 3 else []
        figures.values["p50"], figures.values["p95"] = (1000 * quantiles(times, n=20)[at] for at in (9, 18))
        await settled(one, two)
        # Later each has sent as many as it could.
        figures.values["memory"] = sum(memory_mib(running(server).pid) for server in (one, two))
        async with Watch(one) as sender, Watch(two) as receiver:
            begun = time.perf_counter()
            count, mark = await _send_for(bench.sizes.seconds, alice, room_id)
            figures.values["acknowledged"] = count / (time.perf_counter() - begun)
            await seen(bob, since, [mark], bench.sizes.limit_s)
            figures.values["rate"] = count / (time.perf_counter() - begun)
        figures.values["cpu"] = 1000 * (sender.cpu + receiver.cpu) / count
        figures.values["peak"] = sender.peak + receiver.peak
    return figures


async def _send_for(seconds: float, user: User, room_id: str) -> tuple[int, str]:
    """Send with several connections at once, then once more: how many, and the last one's text."""
    deadline = time.perf_counter() + seconds

    async def client() -> int:
        mine, count = User(user.port, user.user_id, user.token), 0
        while time.perf_counter() < deadline:
            await mine.send(room_id)
            count += 1
        mine.connection.close()
        return count

    counts = await asyncio.gather(*(client() for _ in range(SENDERS)))
    mark = new_mark()
    await user.send(room_id, mark)
    return sum(counts) + 1, mark


async def inbound(bench: Bench, kind: str) -> Figures:
    """Transactions of 50 events: one alone, many of one room, and many of 50 rooms."""
    count = bench.sizes.transactions
    async with bench.running(kind) as (town, (server,)), remote(town, HOST) as other:
        alice = await register(server.port, "alice")
        rooms = [Room(BOB, f"room{number}") for number in range(ROOMS)]
        for room in rooms:
            await _joined(alice, other, room)
        await settled(server)
        since, figures, times = await position(alice), Figures(), []
        one = [rooms[0].messages(PDUS) for _ in range(count)]
        async with Watch(server) as watch:
            # Each is waited for: of what waits in a room, Synapse drops what is over a hundred.
            for batch in one:
                taken, since = await _told(server, other, alice, since, [batch])
                times.append(taken)
        figures.values["transaction"] = 1000 * median(times)
        figures.values |= {
            "one": count * PDUS / sum(times),
            "one_cpu": 1000 * watch.cpu / count / PDUS,
        }
        many = [[room.message(number) for room in rooms] for number in range(count)]
        async with Watch(server) as watch:
            taken, since = await _told(server, other, alice, since, many)
        figures.values["many"] = count * PDUS / taken
        figures.watched(watch, each=count * PDUS)
    return figures


async def _joined(user: User, other: Remote, room: Room) -> None:
    other.rooms[room.room_id] = room
    await join(user, room.room_id, server_of(room.creator))


async def _told(
    server: Federated, other: Remote, user: User, since: str, batches: list[list[SignedEvent]]
) -> tuple[float, str]:
    """Seconds until a client has the last event of each room, and where news begins after that."""
    last = {event.room_id: event.event_id for batch in batches for event in batch}
    transactions = [other.transaction(server.place, batch) for batch in batches]
    begun = time.perf_counter()
    waiting = asyncio.create_task(seen(user, since, last.values(), TOLD_S))
    try:
        for transaction in transactions:
            await other.send(server.place, transaction)
        since = await waiting
    finally:
        waiting.cancel()
    return time.perf_counter() - begun, since


async def joining(bench: Bench, kind: str, *, many: bool, partially: bool = False) -> Figures:
    """A room of another server is joined; ``partially`` with its members told of later."""
    room = bench.room(bench.sizes.many_members if many else bench.sizes.members)
    figures = Figures()
    async with bench.running(kind) as (town, (server,)), remote(town, HOST) as other:
        other.partial = partially
        alice = await register(server.port, "alice")
        await settled(server)
        watch, begun = Watch(server), time.perf_counter()
        try:
            async with watch, asyncio.timeout(bench.sizes.limit_s):
                await _joined(alice, other, room)
                if partially:
                    figures.values["usable"] = time.perf_counter() - begun
                    figures.values["members"] = await members(alice, room.room_id)
        except TimeoutError:
            figures.unfinished = True
        figures.values["seconds"] = time.perf_counter() - begun
        figures.watched(watch)
        figures.values["more"] = watch.peak - watch.before
    return figures


async def fan_out(bench: Bench, kind: str, *, holes: bool) -> Figures:
    """A room with a user of each of many servers, of which some answer no more."""
    silent = bench.sizes.holes if holes else 0
    told = min(HEALTHY, bench.sizes.servers) if holes else bench.sizes.servers
    names = [f"s{number}.fan.test" for number in range(told + silent)]
    room = Room(f"@user:{named(names[0])}", "fan")
    room.join(f"@user:{named(name)}" for name in names[1:])
    async with bench.running(kind) as (town, (server,)), remote(town, "*.fan.test") as other:
        town.name(names, other.place.address)
        alice = await register(server.port, "alice")
        await _joined(alice, other, room)
        await settled(server, seconds=120)
        await _acquaint(server, alice, other, room.room_id, {named(name) for name in names})
        other.silent |= {named(name) for name in names[told:]}
        figures, answered, arrived = Figures(), [], []
        async with Watch(server) as watch:
            for _ in range(MESSAGES):
                taken, times = await _spread(alice, other, room.room_id, told, bench.sizes.limit_s / MESSAGES)
                answered.append(taken)
                arrived += times
        figures.values["answered"] = 1000 * median(answered)
        figures.values["share"] = 100 * len(arrived) / (told * MESSAGES)
        figures.values["told"] = median(arrived)
        figures.values["told_p99"] = quantiles(arrived, n=100)[98]
        figures.watched(watch, each=MESSAGES)
    return figures


async def _acquaint(server: Federated, user: User, other: Remote, room_id: str, names: set[str]) -> None:
    """Send until each server has been told of something: some may have been given up while it joined."""
    for _ in range(ACQUAINTED):
        mark = new_mark()
        arrivals = other.arrivals[mark] = {}
        await user.send(room_id, mark)
        with contextlib.suppress(TimeoutError):
            await other.told_to(mark, len(names), ACQUAINTED_S)
            return
        await other.greet(server.place, names - arrivals.keys())


async def _spread(
    user: User, other: Remote, room_id: str, count: int, seconds: float
) -> tuple[float, list[float]]:
    """Seconds until a message is acknowledged, and until each server has it."""
    mark = new_mark()
    arrivals = other.arrivals[mark] = {}
    begun = time.perf_counter()
    await user.send(room_id, mark)
    acknowledged = time.perf_counter()
    with contextlib.suppress(TimeoutError):
        await other.told_to(mark, count, seconds)
    return acknowledged - begun, [when - begun for when in arrivals.values()]


async def extremities(bench: Bench, kind: str) -> Figures:
    """Sends into a room that ends in a hundred events."""
    figures = Figures()
    async with bench.running(kind) as (town, (server,)), remote(town, HOST) as other:
        alice = await register(server.port, "alice")
        room = Room(BOB, "forked")
        await _joined(alice, other, room)
        since = await position(alice)
        await settled(server)
        forks = [
            room.event(BOB, "m.room.message", {"msgtype": "m.text", "body": f"fork {number}"})
            for number in range(FORKS)
        ]
        for batch in (forks[:PDUS], forks[PDUS:]):
            _, since = await _told(server, other, alice, since, [batch])
        await settled(server)
        times = []
        async with Watch(server) as watch:
            for _ in range(SENDS):
                begun = time.perf_counter()
                sent = orjson.loads(await alice.send(room.room_id))["event_id"]
                times.append(time.perf_counter() - begun)
            await other.heard_of(sent)
        left = await other.ends(server.place, room, {event.event_id for event in forks})
        figures.values |= {"first": 1000 * times[0], "most": 1000 * max(times), "left": left}
        figures.watched(watch, each=SENDS)
    return figures


async def conflicted(bench: Bench, kind: str) -> Figures:
    """Two forks of a room set the same state, each to something else, and are merged."""
    count, figures = bench.sizes.conflicted // 2, Figures()
    async with bench.running(kind) as (town, (server,)), remote(town, HOST) as other:
        alice = await register(server.port, "alice")
        room = Room(BOB, "split")
        await _joined(alice, other, room)
        since = await position(alice)
        await settled(server)
        one, two = (_fork(room, name, count) for name in ("one", "two"))
        for at in range(0, count, PDUS):
            _, since = await _told(server, other, alice, since, [one[at : at + PDUS]])
        begun = time.perf_counter()
        async with Watch(server) as watch:
            for at in range(0, count, PDUS):
                _, since = await _told(server, other, alice, since, [two[at : at + PDUS]])
        figures.values["forked"] = 1000 * (time.perf_counter() - begun) / count
        figures.values["forked_cpu"] = 1000 * watch.cpu / count
        merge = room.event(BOB, "m.room.message", {"body": "merged"}, after=(one[-1], two[-1]))
        async with Watch(server) as watch:
            taken, since = await _told(server, other, alice, since, [[merge]])
        figures.values["seconds"] = taken
        figures.watched(watch)
    return figures


def _fork(room: Room, name: str, count: int) -> list[SignedEvent]:
    """State events, one after the other, after what the room ends in and keeps ending in."""
    fork, events = room.again(), []
    for number in range(count):
        events.append(fork.add(BOB, ("org.palpo.bench", str(number)), {"fork": name}))
    return events


JOINING = (
    Line(name="seconds", title="whole", unit="s", times=10),
    _cpu("CPU s"),
    Line(name="more", title="more memory", unit="MiB", times=1),
    *MEMORY,
)
TOLD = (
    Line(name="answered", title="acknowledged, p50", unit="ms", times=10),
    Line(name="told", title="told, p50", unit="s", times=10),
    Line(name="told_p99", title="told, p99", unit="s", times=10),
    Line(name="share", title="servers that were told in time", unit="%", more=True, bound=100),
    _cpu("CPU ms a message"),
    *MEMORY,
)

ROWS = (
    Row(
        name="sends",
        title="sends, 16 at once",
        measure=sends,
        pairs=True,
        lines=(
            Line(name="rate", title="until the other's client has the last", unit="1/s", more=True, times=10),
            Line(name="acknowledged", title="acknowledged", unit="1/s", more=True),
            Line(name="p50", title="one alone, p50", unit="ms", times=10),
            Line(name="p95", title="one alone, p95", unit="ms", times=10),
            _cpu("CPU ms an event, both"),
            Line(name="memory", title="memory of both, before that", unit="MiB", times=1),
            Line(name="peak", title="memory of both, at most", unit="MiB"),
        ),
    ),
    Row(
        name="inbound",
        title="inbound",
        measure=inbound,
        lines=(
            Line(name="transaction", title="a transaction of 50", unit="ms", times=10, bound=150),
            Line(name="one", title="of one room", unit="1/s", more=True, times=10),
            Line(name="one_cpu", title="of one room, of the processor", unit="CPU ms an event"),
            Line(name="many", title="of 50 rooms", unit="1/s", more=True, times=10, bound=1000),
            _cpu("CPU ms an event"),
            *MEMORY,
        ),
    ),
    Row(
        name="join_1000",
        title="join, 1,000 members",
        measure=partial(joining, many=False),
        lines=JOINING,
    ),
    Row(
        name="join_60000",
        title="join, 60,000 members",
        measure=partial(joining, many=True),
        lines=(
            replace(JOINING[0], bound=60),
            JOINING[1],
            replace(JOINING[2], bound=500),
            *MEMORY,
        ),
    ),
    Row(
        name="partial_60000",
        title="partial join, 60,000 members",
        measure=partial(joining, many=True, partially=True),
        lines=(Line(name="usable", title="usable", unit="s", times=10, bound=3), *JOINING),
    ),
    Row(name="fan_out", title="2,000 servers", measure=partial(fan_out, holes=False), lines=TOLD),
    Row(
        name="black_holes",
        title="50 servers beside 500 that are silent",
        measure=partial(fan_out, holes=True),
        lines=(*TOLD[:2], replace(TOLD[2], bound=1), *TOLD[3:]),
    ),
    Row(
        name="extremities",
        title="a room with 100 ends",
        measure=extremities,
        lines=(
            Line(name="first", title="the first send", unit="ms", bound=100),
            Line(name="most", title="the slowest of five", unit="ms", bound=100),
            Line(name="left", title="ends after five sends", unit="", bound=20),
            _cpu("CPU ms a send"),
            *MEMORY,
        ),
    ),
    Row(
        name="conflicted",
        title="two forks with as much in conflict",
        measure=conflicted,
        lines=(
            Line(name="forked", title="an event of the second", unit="ms", times=10),
            Line(name="forked_cpu", title="an event of the second", unit="CPU ms"),
            Line(name="seconds", title="merged", unit="s", times=10, bound=2),
            _cpu("CPU s", bound=2),
            *MEMORY,
        ),
    ),
)
