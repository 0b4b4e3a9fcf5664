"""Bodies are read once it is known who sends them, and large ones as there is room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from palpo.api.bodies import SMALL
from tests.support.homeserver import Client, Homeserver, homeserver

KEYS = "/_matrix/client/v3/user/{user}/account_data/org.example"


async def never_read() -> AsyncIterator[bytes]:
    """A body that nobody should ask for."""
    raise AssertionError("it was read")
    yield b""


@pytest.mark.parametrize(
    ("path", "token", "status"),
    [
        ("/_matrix/client/v3/createRoom", "", 401),
        ("/_matrix/client/v3/createRoom", "nonsense", 401),
        ("/_matrix/media/v3/upload", "", 401),
        ("/_matrix/client/v3/nothing", "", 404),
        ("/_matrix/client/v3/login", "", 413),
    ],
)
async def test_nobody_in_particular_has_a_large_body_read(
    server: Homeserver, path: str, token: str, status: int
) -> None:
    headers = {"Content-Length": str(SMALL + 1)}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    answer = await server.http.post(path, content=never_read(), headers=headers)
    assert answer.status_code == status


async def test_who_has_called_too_often_has_no_body_read(tmp_path: Path) -> None:
    limits = {"enabled": True, "room_creation": {"per_second": 0.001, "burst": 1}}
    async with homeserver(tmp_path, rate_limits=limits) as server:
        alice = await server.register("alice")
        headers = {"Authorization": f"Bearer {alice.token}", "Content-Length": str(SMALL + 1)}
        await alice.create_room()
        path = "/_matrix/client/v3/createRoom"
        answer = await server.http.post(path, content=never_read(), headers=headers)
        assert answer.status_code == 429
        assert answer.json()["errcode"] == "M_LIMIT_EXCEEDED"


async def test_a_user_who_is_logged_out_while_sending(server: Homeserver, alice: Client) -> None:
    phone = await server.login("alice")

    async def slowly() -> AsyncIterator[bytes]:
        yield b'{"a":'
        await phone.post("/logout")
        await asyncio.sleep(1.1)
        yield b"1}"

    path = KEYS.format(user=alice.user_id)
    headers = {"Authorization": f"Bearer {phone.token}"}
    answer: httpx.Response = await server.http.put(path, content=slowly(), headers=headers)
    assert (answer.status_code, answer.json()["errcode"]) == (401, "M_UNKNOWN_TOKEN")
    await alice.get(f"/user/{alice.user_id}/account_data/org.example", status=404)
