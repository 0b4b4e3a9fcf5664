"""What is refused is gone from memory at once, not only when the garbage collector comes by."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from palpo.core.errors import MatrixError
from tests.support.homeserver import Client, Homeserver, homeserver

LARGE = {"x": "y" * 100_000}


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
    await alice.post("/join/!none:test.example", status=None)
    await alice.post("/rooms/!none:test.example/invite", {"user_id": "@x:test.example"}, status=None)


@pytest.mark.parametrize("refused", [_over_the_quota, _too_large, _not_allowed, _no_such_room])
async def test_nothing_of_it_stays(refused, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    async with homeserver(tmp_path, quotas={"account_data": {"user": 1, "server": 0}}) as server:
        alice = await server.register("alice")
        room_id = await alice.create_room()
        await alice.put(f"/user/{alice.user_id}/account_data/a", {"x": "y"})
        with _garbage() as garbage:
            await refused(server, alice, room_id)
            await alice.send(room_id, "the writer has gone on")
        assert not [item for item in garbage if isinstance(item, MatrixError)]
