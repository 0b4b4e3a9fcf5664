"""The rows of the comparison: what each prepares on a server once, and what it measures each round."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from bench.side_by_side import matrix
from bench.side_by_side.http import LoadError
from bench.side_by_side.matrix import User
from bench.side_by_side.world import Sample, World, all_of, in_parallel

Prepare = Callable[[World], Awaitable[Any]]
Measure = Callable[[World, Any, float], Awaitable[Sample]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row, or with ``p95`` two; ``bar`` is how many times as good as Synapse Palpo has to be.

    ``engines`` tells that the HTTP engine matters, ``large`` that the servers need a large world.
    """

    name: str
    title: str
    unit: str  # "1/s", "ms" or "CPU ms".
    prepare: Prepare
    measure: Measure
    p95: bool = False
    bar: float = 5
    engines: bool = False
    large: bool = False

    def figures(self, sample: Sample) -> dict[str, float]:
        """The numbers to print, by the name of their line."""
        if self.unit == "1/s":
            return {self.name: sample.count / sample.elapsed}
        if self.unit == "CPU ms":
            return {self.name: 1000 * sample.server_cpu / sample.count}
        figures = {self.name: sample.percentile_ms(0.5)}
        return figures | ({f"{self.name}_p95": sample.percentile_ms(0.95)} if self.p95 else {})


async def repeatedly(
    world: World, seconds: float, callers: list[Callable[[], Awaitable[object]]], *, at_least: int = 1
) -> Sample:
    """Each caller again and again for ``seconds``, one call after the other."""
    sample = Sample()

    async def run(call: Callable[[], Awaitable[object]], deadline: float) -> None:
        done = 0
        while (start := time.perf_counter()) < deadline or done < at_least:
            await call()
            sample.latencies.append(time.perf_counter() - start)
            done += 1

    async with world.watching(sample):
        deadline = time.perf_counter() + seconds
        await all_of([run(call, deadline) for call in callers])
    return sample


async def once_each(world: World, calls: list[Callable[[], Awaitable[object]]]) -> Sample:
    """Each call once, one after the other."""
    sample = Sample()
    async with world.watching(sample):
        for call in calls:
            start = time.perf_counter()
            await call()
            sample.latencies.append(time.perf_counter() - start)
    return sample


async def prepare_whoami(world: World) -> list[User]:
    return await world.users(16)


async def measure_whoami(world: World, users: list[User], seconds: float) -> Sample:
    return await repeatedly(world, seconds, [user.whoami for user in users])


async def prepare_create(world: World) -> None:
    """Nothing: each round has a user of its own, since a user may make so many rooms only."""


async def measure_create(world: World, _: None, seconds: float) -> Sample:
    user = await world.new_user()
    return await repeatedly(world, seconds, [user.create_room], at_least=3)


def prepare_crowd(members: int, senders: int) -> Prepare:
    """A room of ``members``, and those of them who send."""

    async def prepare(world: World) -> list[tuple[User, str]]:
        room_id, users = await world.crowd(members)
        return [(user, room_id) for user in users[:senders]]

    return prepare


async def prepare_rooms(world: World) -> list[tuple[User, str]]:
    users = await world.users(64)
    return list(zip(users, await in_parallel(4, [user.create_room for user in users]), strict=True))


async def measure_send(world: World, senders: list[tuple[User, str]], seconds: float) -> Sample:
    return await repeatedly(world, seconds, [partial(user.send, room_id) for user, room_id in senders])


async def prepare_wakeup(world: World) -> tuple[User, User, str]:
    sender, receiver = await world.new_user(), await world.new_user()
    room_id = await sender.create_room()
    await receiver.join(room_id)
    return sender, receiver, room_id


async def measure_wakeup(world: World, who: tuple[User, User, str], seconds: float) -> Sample:
    """From before the send to the waiting /sync's answer that has the event."""
    sender, receiver, room_id = who
    sample = Sample()
    since = matrix.next_batch(await receiver.sync())
    async with world.watching(sample):
        deadline = time.perf_counter() + seconds
        while time.perf_counter() < deadline or sample.count < 10:
            waiting = asyncio.create_task(receiver.sync(since=since, timeout_ms=30_000))
            await asyncio.sleep(0.02)  # The server has the request now, and waits.
            start = time.perf_counter()
            sending = asyncio.create_task(sender.send(room_id))
            body, arrived = await waiting, time.perf_counter()
            event_id = orjson.loads(await sending)["event_id"].encode()
            since = matrix.next_batch(body)
            while event_id not in body:
                body = await receiver.sync(since=since, timeout_ms=30_000)
                arrived = time.perf_counter()
                since = matrix.next_batch(body)
            sample.latencies.append(arrived - start)
    return sample


async def prepare_empty_sync(world: World) -> User:
    user = await world.new_user()
    for _ in range(10):
        await user.send(await user.create_room())
    return user


async def measure_empty_sync(world: World, user: User, seconds: float) -> Sample:
    since = matrix.next_batch(await user.sync())

    async def sync() -> None:
        nonlocal since
        since = matrix.next_batch(await user.sync(since=since))

    await sync()
    return await repeatedly(world, seconds, [sync], at_least=10)


ROOMS, MESSAGES, OTHERS = 50, 20, 3


async def prepare_initial_sync(world: World) -> User:
    """An account in 50 rooms, each with 20 messages and three other members."""
    user = await world.new_user()
    others = (await world.users(4 * OTHERS))[:]

    async def room(number: int) -> None:
        room_id = await owners[number % 4].create_room(name=f"Room {number}", topic="What is said here")
        members = others[OTHERS * (number % 4) : OTHERS * (number % 4 + 1)]
        for member in members:
            await member.join(room_id)
        for sent in range(MESSAGES):
            await members[sent % OTHERS].send(room_id, f"Message {sent}")

    # A connection carries one request at a time: four groups of members, each with one room at a time.
    owners = [await user.login() for _ in range(4)]

    async def group(first: int) -> None:
        for number in range(first, ROOMS, 4):
            await room(number)

    await all_of([group(first) for first in range(4)])
    for owner in owners:
        await owner.log_out()
    return user


async def measure_initial_sync(world: World, user: User, seconds: float) -> Sample:
    """A new device's first sync: an answer for the same device may come from a cache."""
    count = max(4, min(20, int(2 * seconds))) if world.profiler is None else 100
    devices = [await user.login() for _ in range(count)]
    received = 0

    async def sync(device: User) -> None:
        nonlocal received
        body = await device.sync()
        received += len(body)
        joined = orjson.loads(body)["rooms"]["join"]
        if len(joined) != ROOMS or not all(room["timeline"]["events"] for room in joined.values()):
            raise LoadError(f"an initial sync of {len(joined)} rooms, not {ROOMS}")

    try:
        sample = await once_each(world, [partial(sync, device) for device in devices])
        sample.received = received
        return sample
    finally:
        for device in devices:
            await device.log_out()


async def prepare_messages(world: World) -> tuple[list[User], str]:
    room_id, users = await world.crowd(8)
    for number in range(400):
        await users[number % 8].send(room_id, f"Message {number}")
    return users, room_id


async def measure_messages(world: World, where: tuple[list[User], str], seconds: float) -> Sample:
    """Pages of 50, from the newest to the oldest, and from the start again."""
    users, room_id = where

    def reader(user: User) -> Callable[[], Awaitable[object]]:
        start = ""

        async def page() -> None:
            nonlocal start
            answer = orjson.loads(await user.messages(room_id, start=start))
            if not start and len(answer["chunk"]) < 50:
                raise LoadError(f"a first page of {len(answer['chunk'])} events, not 50")
            # The last page may be empty.
            start = answer.get("end", "") if answer["chunk"] else ""

        return page

    return await repeatedly(world, seconds, [reader(user) for user in users])


async def prepare_join(world: World) -> tuple[str, list[User]]:
    room_id, _ = await world.crowd(200)
    return room_id, await in_parallel(4, [world.new_user] * 10)


async def measure_join(world: World, where: tuple[str, list[User]], seconds: float) -> Sample:
    room_id, joiners = where
    sample = Sample()
    while sample.elapsed < seconds / 2:
        more = await once_each(world, [partial(user.join, room_id) for user in joiners])
        sample.latencies += more.latencies
        sample.elapsed += more.elapsed
        sample.server_cpu += more.server_cpu
        sample.database_cpu += more.database_cpu
        for user in joiners:
            await user.leave(room_id)
    return sample


async def prepare_register(world: World) -> None:
    """Nothing: every registration is a new account."""


async def measure_register(world: World, _: None, seconds: float) -> Sample:
    return await once_each(world, [world.new_user] * 10)


ROWS = (
    Row(
        name="whoami",
        title="whoami, 16 clients",
        unit="1/s",
        prepare=prepare_whoami,
        measure=measure_whoami,
        engines=True,
    ),
    Row(
        name="create_room",
        title="createRoom, 1 client",
        unit="1/s",
        prepare=prepare_create,
        measure=measure_create,
    ),
    *(
        Row(
            name=f"send_{clients}",
            title=f"send, one room, {clients} client{'s' * (clients > 1)}",
            unit="1/s",
            prepare=prepare_crowd(clients, clients),
            measure=measure_send,
            bar=10,
        )
        for clients in (1, 16, 64)
    ),
    Row(
        name="send_rooms",
        title="send, 64 rooms, 64 clients",
        unit="1/s",
        prepare=prepare_rooms,
        measure=measure_send,
        bar=10,
    ),
    Row(
        name="send_200",
        title="send, room of 200, 16 clients",
        unit="1/s",
        prepare=prepare_crowd(200, 16),
        measure=measure_send,
        bar=10,
    ),
    Row(
        name="wakeup",
        title="send to the other's /sync, p50",
        unit="ms",
        prepare=prepare_wakeup,
        measure=measure_wakeup,
        p95=True,
        engines=True,
        bar=10,
    ),
    Row(
        name="empty_sync",
        title="empty incremental sync, p50",
        unit="ms",
        prepare=prepare_empty_sync,
        measure=measure_empty_sync,
    ),
    Row(
        name="initial_sync",
        title="initial sync, 50 rooms, p50",
        unit="ms",
        prepare=prepare_initial_sync,
        measure=measure_initial_sync,
    ),
    Row(
        name="messages",
        title="/messages, pages of 50, 8 clients",
        unit="1/s",
        prepare=prepare_messages,
        measure=measure_messages,
    ),
    Row(
        name="join_200",
        title="join a room of 200, p50",
        unit="ms",
        prepare=prepare_join,
        measure=measure_join,
    ),
    Row(
        name="register",
        title="register",
        unit="CPU ms",
        prepare=prepare_register,
        measure=measure_register,
    ),
)
