"""Requests that wait when their access token is revoked: they end at once, and tell nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.homeserver import PASSWORD, Client, Homeserver, homeserver
from tests.support.rooms import make_room, member
from tests.sync.sliding import PATH, room_list

Json = dict[str, Any]
WAIT_MS = 30_000
AUTH = {
    "type": "m.login.password",
    "identifier": {"type": "m.id.user", "user": "alice"},
    "password": PASSWORD,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Alice on two devices, of which the second waits, and Bob in a room with her."""

    server: Homeserver
    alice: Client
    waiting: Client
    bob: Client
    room_id: str


async def sync(client: Client) -> Coroutine[Any, Any, Any]:
    """A /sync that waits."""
    since = (await client.get("/sync"))["next_batch"]
    return client.get("/sync", params={"since": since, "timeout": WAIT_MS}, status=401)


async def sliding(client: Client) -> Coroutine[Any, Any, Any]:
    """A sliding sync that waits."""
    body = {"conn_id": "main", "lists": {"a": room_list()}}
    pos = (await client.request("POST", PATH, body))["pos"]
    return client.request("POST", PATH, body, params={"pos": pos, "timeout": WAIT_MS}, status=401)


async def events(client: Client) -> Coroutine[Any, Any, Any]:
    """A request for /events that waits."""
    start = (await client.get("/initialSync"))["end"]
    return client.get("/events", params={"from": start, "timeout": WAIT_MS}, status=401)


async def log_out(scene: Scene) -> None:
    await scene.waiting.post("/logout")


async def log_out_everywhere(scene: Scene) -> None:
    await scene.alice.post("/logout/all")


async def remove_device(scene: Scene) -> None:
    await scene.alice.post("/delete_devices", {"devices": [scene.waiting.device_id], "auth": AUTH})


async def change_password(scene: Scene) -> None:
    await scene.alice.post("/account/password", {"new_password": PASSWORD, "auth": AUTH})


async def deactivate(scene: Scene) -> None:
    await scene.alice.post("/account/deactivate", {"auth": AUTH})


async def lock(scene: Scene) -> None:
    await scene.server.services.accounts.accounts.set_flags(scene.alice.user_id, locked=True)


ENDINGS = {
    log_out: ("M_UNKNOWN_TOKEN", False),
    log_out_everywhere: ("M_UNKNOWN_TOKEN", False),
    remove_device: ("M_UNKNOWN_TOKEN", False),
    change_password: ("M_UNKNOWN_TOKEN", False),
    deactivate: ("M_UNKNOWN_TOKEN", False),
    lock: ("M_USER_LOCKED", True),
}


async def scene(server: Homeserver) -> Scene:
    alice, bob = await server.register("alice"), await server.register("bob")
    room_id = await make_room(server, bob)
    await member(server, room_id, alice, "join")
    return Scene(server=server, alice=alice, waiting=await server.login("alice"), bob=bob, room_id=room_id)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("wait", [sync, sliding, events])
async def test_who_may_no_longer_listen_hears_so_at_once(
    server: Homeserver,
    wait: Callable[[Client], Awaitable[Coroutine[Any, Any, Any]]],
    ending: Callable[[Scene], Awaitable[None]],
) -> None:
    it = await scene(server)
    waiting = asyncio.create_task(await wait(it.waiting))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await ending(it)
    await it.bob.send(it.room_id, "a secret")
    async with asyncio.timeout(WAIT_MS / 3000):
        error = await waiting
    errcode, soft = ENDINGS[ending]
    assert (error["errcode"], error.get("soft_logout", False)) == (errcode, soft)
    assert "secret" not in str(error)


async def test_the_other_devices_go_on_waiting(server: Homeserver) -> None:
    it = await scene(server)
    since = (await it.alice.get("/sync"))["next_batch"]
    waiting = asyncio.create_task(it.alice.get("/sync", params={"since": since, "timeout": WAIT_MS}))
    await asyncio.sleep(0.1)
    await it.waiting.post("/logout")
    await it.bob.send(it.room_id, "hello")
    answer = await waiting
    if "rooms" not in answer:  # It has been told of the device that is gone.
        answer = await it.alice.get("/sync", params={"since": answer["next_batch"]})
    joined = answer["rooms"]["join"]
    assert joined[it.room_id]["timeline"]["events"][-1]["content"]["body"] == "hello"


async def test_a_token_that_expires_meanwhile(tmp_path: Path) -> None:
    async with homeserver(tmp_path, sessions={"access_token_seconds": 60}) as server:
        await server.register("alice")
        body = {"type": "m.login.password", "identifier": AUTH["identifier"], "password": PASSWORD}
        client = server.client()
        client.token = (await client.post("/login", {**body, "refresh_token": True}))["access_token"]
        since = (await client.get("/sync"))["next_batch"]
        server.clock.advance(59_900)
        request = client.get("/sync", params={"since": since, "timeout": WAIT_MS}, status=401)
        waiting = asyncio.create_task(request)
        await asyncio.sleep(0.01)
        server.clock.advance(200)
        error = await waiting
        assert (error["errcode"], error["soft_logout"]) == ("M_UNKNOWN_TOKEN", True)


async def test_a_token_that_is_replaced_meanwhile(server: Homeserver) -> None:
    await server.register("alice")
    body = {"type": "m.login.password", "identifier": AUTH["identifier"], "password": PASSWORD}
    client, later = server.client(), server.client()
    session = await client.post("/login", {**body, "refresh_token": True})
    client.token = session["access_token"]
    since = (await client.get("/sync"))["next_batch"]
    waiting = asyncio.create_task(
        client.get("/sync", params={"since": since, "timeout": WAIT_MS}, status=401)
    )
    await asyncio.sleep(0.05)
    fresh = await later.post("/refresh", {"refresh_token": session["refresh_token"]})
    later.token = fresh["access_token"]
    await later.get("/account/whoami")
    assert (await waiting)["soft_logout"] is True
