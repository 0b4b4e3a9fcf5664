"""What is refused is gone from memory at once, not only when the garbage collector comes by."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

import palpo
from palpo.core.errors import MatrixError
from tests.support.homeserver import Client, Homeserver, homeserver

LARGE = {"x": "y" * 100_000}
Refused = Callable[[Homeserver, Client, str], Awaitable[None]]


@contextmanager
def _garbage() -> Iterator[list[object]]:
    """What only the collector would have found of what was made within the block."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    found: list[object] = []
    try:
        yield found
        gc.collect()
        found.extend(gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


async def _over_the_quota(server: Homeserver, alice: Client, room_id: str) -> None:
    await alice.put(f"/user/{alice.user_id}/account_data/b", LARGE, status=403)


async def _too_large(server: Homeserver, alice: Client, room_id: str) -> None:
    await alice.put(f"/rooms/{room_id}/send/m.room.message/1", LARGE, status=413)


async def _not_allowed(server: Homeserver, alice: Client, room_id: str) -> None:
    bob = await server.register("bob")
    await bob.put(f"/rooms/{room_id}/send/m.room.message/1", {"body": "x"}, status=403)
    await bob.put(f"/rooms/{room_id}/state/m.room.name", {"name": "x"}, status=403)


async def _no_such_room(server: Homeserver, alice: Client, room_id: str) -> None:
    await alice.post("/join/!none:test.example", status=404)
    await alice.post("/rooms/!none:test.example/invite", {"user_id": "@x:test.example"}, status=404)


@pytest.mark.parametrize("refused", [_over_the_quota, _too_large, _not_allowed, _no_such_room])
async def test_nothing_of_it_stays(refused: Refused, tmp_path: Path) -> None:
    async with homeserver(tmp_path, quotas={"account_data": {"user": 1, "server": 0}}) as server:
        alice = await server.register("alice")
        room_id = await alice.create_room()
        await alice.put(f"/user/{alice.user_id}/account_data/a", {"x": "y"})
        with _garbage() as garbage:
            await refused(server, alice, room_id)
            await alice.send(room_id, "the writer has gone on")
        assert not [item for item in garbage if isinstance(item, MatrixError)]


def _puts(number: int, room_id: str) -> Iterator[tuple[str, dict[str, object]]]:
    """What a stranger of the room may not put: into it, into one that there is not, and for another user."""
    user_id = f"@u{number}:test.example"
    for room in (room_id, f"!none{number}:test.example"):
        yield f"/rooms/{room}/send/m.room.message/t{number}", {"body": "x"}
        yield f"/rooms/{room}/state/type{number}/key{number}", {"n": number}
    yield f"/user/{user_id}/account_data/type{number}", {"n": number}
    yield f"/profile/{user_id}/displayname", {"displayname": "x"}


async def _refused(strangers: Sequence[Client], room_id: str, numbers: range) -> None:
    for number in numbers:
        for path, body in _puts(number, room_id):
            answer = await strangers[number % len(strangers)].put(path, body, status=None)
            assert "errcode" in answer


def _kept() -> int:
    """The bytes that our own code has made since tracing began, and that are still there."""
    gc.collect()
    ours = tracemalloc.Filter(True, f"{Path(palpo.__file__).parent}/*")
    return sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces([ours]).traces)


async def test_strangers_do_not_fill_the_memory(server: Homeserver, alice: Client) -> None:
    """After 720 refused requests no cache has something of each, nor has anything else."""
    room_id = await alice.create_room(preset="private_chat")
    strangers = [await server.register(f"stranger{number}") for number in range(5)]
    await _refused(strangers, room_id, range(20))
    caches = server.services.server.caches
    entries, held = sum(len(cache) for cache in caches.caches), caches.bytes
    tracemalloc.start()
    try:
        kept = []
        for start in range(20, 140, 20):
            await _refused(strangers, room_id, range(start, start + 20))
            kept.append(_kept())
    finally:
        tracemalloc.stop()
    # The server has other work meanwhile, which may keep a little.
    assert sum(len(cache) for cache in caches.caches) < entries + 50
    assert caches.bytes < held + 50_000
    # Between the second round and the last are 480 requests; what they allocate comes and goes.
    assert kept[-1] - kept[1] < 480 * 100, kept
