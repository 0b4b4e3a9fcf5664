"""The rows about large rooms and accounts: 1,000 members, 500 rooms."""

from __future__ import annotations

import itertools
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from bench.side_by_side import matrix
from bench.side_by_side.http import LoadError
from bench.side_by_side.large_world import ROOMS
from bench.side_by_side.matrix import User
from bench.side_by_side.rows import Measure, Row, measure_join, measure_send, once_each, repeatedly
from bench.side_by_side.world import Sample, World, in_parallel

DEVICES = 4
WINDOW = 20
SLIDING: dict[str, Any] = {
    "lists": {
        "rooms": {
            "ranges": [[0, WINDOW - 1]],
            "timeline_limit": 10,
            "required_state": [
                ["m.room.create", ""],
                ["m.room.name", ""],
                ["m.room.avatar", ""],
                ["m.room.canonical_alias", ""],
                ["m.room.encryption", ""],
                ["m.room.power_levels", ""],
                ["m.room.member", "$LAZY"],
                ["m.room.member", "$ME"],
            ],
        }
    },
    "extensions": {
        "account_data": {"enabled": True},
        "receipts": {"enabled": True},
        "typing": {"enabled": True},
        "to_device": {"enabled": True},
        "e2ee": {"enabled": True},
    },
}
_connections = itertools.count(1)


async def prepare_join(world: World) -> tuple[str, list[User]]:
    return world.large.room_id, await in_parallel(4, [world.new_user] * 10)


async def prepare_send(world: World) -> list[tuple[User, str]]:
    return [(member, world.large.room_id) for member in world.large.members[:16]]


async def nothing(world: World) -> None:
    """The world has all it needs."""


def first_syncs(
    account: Callable[[World], User], sync: Callable[[User], Awaitable[bytes]], check: Callable[[Any], bool]
) -> Measure:
    """The first sync of new devices, one after the other: an answer for a known one may come from a cache."""

    async def measure(world: World, _: None, seconds: float) -> Sample:
        count = max(2, min(12, int(2 * seconds))) if world.profiler is None else 40
        devices = [await account(world).login() for _ in range(count)]
        received = 0

        async def one(device: User) -> None:
            nonlocal received
            body = await sync(device)
            received += len(body)
            if not check(orjson.loads(body)):
                raise LoadError(f"a first sync without what it should have: {body[:300]!r}")

        try:
            sample = await once_each(world, [partial(one, device) for device in devices])
            sample.received = received
            return sample
        finally:
            for device in devices:
                await device.log_out()

    return measure


def _has_rooms(count: int) -> Callable[[Any], bool]:
    def check(answer: Any) -> bool:
        joined = answer["rooms"]["join"]
        return len(joined) == count and all(room["timeline"]["events"] for room in joined.values())

    return check


def _has_window(answer: Any) -> bool:
    return (
        answer["lists"]["rooms"]["count"] == ROOMS
        and len(answer["rooms"]) == WINDOW
        and all(room["timeline"] for room in answer["rooms"].values())
    )


def _sliding(connection: str) -> dict[str, Any]:
    return SLIDING | {"conn_id": connection}


async def _first_window(device: User) -> bytes:
    return await device.sliding_sync(_sliding("c"))


@dataclass(slots=True, kw_only=True)
class Follower:
    """A device that syncs on and on; ``step`` takes its place and returns the answer and the next place."""

    device: User
    place: str
    step: Callable[[User, str], Awaitable[tuple[bytes, str]]]

    async def sync(self, wanted: bytes = b"") -> None:
        """Go on from where the last sync ended; raises LoadError where ``wanted`` is not in the answer."""
        body, self.place = await self.step(self.device, self.place)
        if wanted not in body:
            raise LoadError(f"a sync without its news: {body[:300]!r}")


async def _sync_on(device: User, place: str) -> tuple[bytes, str]:
    body = await device.sync(since=place)
    return body, matrix.next_batch(body)


async def _slide_on(device: User, place: str) -> tuple[bytes, str]:
    connection, _, pos = place.partition(" ")
    body = await device.sliding_sync(_sliding(connection), pos=pos)
    return body, f"{connection} {orjson.loads(body)['pos']}"


async def prepare_sync_followers(world: World) -> list[Follower]:
    devices = [await world.large.account.login() for _ in range(DEVICES)]
    return [Follower(device=device, place="", step=_sync_on) for device in devices]


async def prepare_sliding_followers(world: World) -> list[Follower]:
    devices = [await world.large.account.login() for _ in range(DEVICES)]
    return [Follower(device=device, place=f"c{next(_connections)} ", step=_slide_on) for device in devices]


async def _catch_up(followers: list[Follower]) -> None:
    for follower in followers:
        await follower.sync()
        await follower.sync()


async def measure_news(world: World, followers: list[Follower], seconds: float) -> Sample:
    """A message to one room, another each time; then a sync of each device. Only the syncs are measured."""
    await _catch_up(followers)
    sample = Sample()
    async with world.profiled():
        deadline = time.perf_counter() + seconds
        while time.perf_counter() < deadline or not sample.count:
            room = next(_connections) % ROOMS
            event = orjson.loads(await world.large.other(room).send(world.large.rooms[room]))["event_id"]
            await followers[0].sync(event.encode())  # Now every server has it where syncs read.
            more = await once_each(world, [partial(one.sync, event.encode()) for one in followers[1:]])
            sample.latencies += more.latencies
            sample.elapsed += more.elapsed
            sample.server_cpu += more.server_cpu
            sample.database_cpu += more.database_cpu
    return sample


async def measure_empty(world: World, followers: list[Follower], seconds: float) -> Sample:
    await _catch_up(followers[:1])
    return await repeatedly(world, seconds, [followers[0].sync], at_least=5)


LARGE_ROWS = (
    Row(
        name="join_1000",
        title="join a room of 1,000, p50",
        unit="ms",
        prepare=prepare_join,
        measure=measure_join,
        large=True,
    ),
    Row(
        name="send_1000",
        title="send, room of 1,000, 16 clients",
        unit="1/s",
        prepare=prepare_send,
        measure=measure_send,
        large=True,
        bar=10,
    ),
    Row(
        name="sync_1000",
        title="first sync of a member of 1,000, lazy, p50",
        unit="ms",
        prepare=nothing,
        measure=first_syncs(
            lambda world: world.large.members[-1], partial(User.sync, lazy=True), _has_rooms(1)
        ),
        large=True,
    ),
    Row(
        name="initial_500",
        title="initial sync, 500 rooms, p50",
        unit="ms",
        prepare=nothing,
        measure=first_syncs(lambda world: world.large.account, User.sync, _has_rooms(ROOMS)),
        large=True,
    ),
    Row(
        name="incremental_500",
        title="sync with news in 1 of 500 rooms, p50",
        unit="ms",
        prepare=prepare_sync_followers,
        measure=measure_news,
        large=True,
    ),
    Row(
        name="empty_500",
        title="empty incremental sync, 500 rooms, p50",
        unit="ms",
        prepare=prepare_sync_followers,
        measure=measure_empty,
        large=True,
    ),
    Row(
        name="sliding_500",
        title="sliding sync, first 20 of 500 rooms, p50",
        unit="ms",
        prepare=nothing,
        measure=first_syncs(lambda world: world.large.account, _first_window, _has_window),
        large=True,
    ),
    Row(
        name="sliding_500_news",
        title="sliding sync, news in 1 of 500 rooms, p50",
        unit="ms",
        prepare=prepare_sliding_followers,
        measure=measure_news,
        large=True,
    ),
)
