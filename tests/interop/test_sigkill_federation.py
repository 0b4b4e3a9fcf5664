"""What a user was told is sent reaches the other servers, whenever the server is killed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import orjson
import pytest

from palpo.core.canonical_json import to_json
from tests.support.federated_rooms import bodies, listens, shared_room
from tests.support.pairs import Town
from tests.support.process import LOST, ServerProcess, free_port
from tests.support.remote_server import RemoteServer, remote_server
from tests.support.remote_users import KEY, SERVER

KILLS = 2
SENDERS = 4
MESSAGES = 100
"""Between two kills."""
PATIENCE_S = 90.0
"""A process that was killed has its lease for some time yet."""


def configuration(town: Town, port: int) -> str:
    """That of the process: TOML has what JSON has in it, but for tables."""
    hosts = "\n".join(
        f"{orjson.dumps(name).decode()} = {to_json(at).decode()}" for name, at in town.hosts.items()
    )
    return f"""
server_name = "hs1.test"
data = {to_json(str(town.folder / "hs1.test")).decode()}
rate_limits.enabled = false
network.allow = ["127.0.0.0/8"]
[[listeners]]
bind = "127.0.0.1:{port}"
[federation]
ca_file = {to_json(str(town.authority.file)).decode()}
hosts_file = {to_json(str(town.folder / "no-hosts")).decode()}
[federation.hosts]
{hosts}
"""


@pytest.mark.sqlite
async def test_acknowledged_messages_are_told(tmp_path: Path) -> None:
    town = Town.of(tmp_path, "hs1.test", SERVER)
    async with town.homeserver("hs1.test") as ours:
        alice = await ours.register("alice")
        room_id = await shared_room(ours, alice)
    port = free_port()
    (tmp_path / "hs1.test" / "palpo.toml").write_text(configuration(town, port))
    process = ServerProcess(tmp_path / "hs1.test", port=port)
    acknowledged: set[str] = set()
    stopping = asyncio.Event()

    async def send_many(http: httpx.AsyncClient, sender: int) -> None:
        """Send one message after the other, each until it is acknowledged."""
        number = 0
        while not stopping.is_set():
            body = f"{sender}-{number}"
            path = f"/_matrix/client/v3/rooms/{room_id}/send/m.room.message/{body}"
            content = {"msgtype": "m.text", "body": body}
            try:
                response = await http.put(path, json=content)
            except LOST:
                await asyncio.sleep(0.02)
                continue
            assert response.status_code == 200, response.text
            acknowledged.add(body)
            number += 1

    headers = {"Authorization": f"Bearer {alice.token}"}
    async with (
        remote_server(town, SERVER, key=KEY) as remote,
        httpx.AsyncClient(base_url=process.url, timeout=10, headers=headers) as http,
    ):
        listens(remote)
        await asyncio.to_thread(process.start)
        try:
            senders = [asyncio.create_task(send_many(http, number)) for number in range(SENDERS)]
            for _ in range(KILLS):
                await more(acknowledged, MESSAGES)
                await asyncio.to_thread(process.kill)
                await asyncio.to_thread(process.start)
            await more(acknowledged, MESSAGES)
            stopping.set()
            await asyncio.gather(*senders)
            async with asyncio.timeout(PATIENCE_S):
                while not acknowledged <= told(remote):  # noqa: ASYNC110 - nobody says when it comes true
                    await asyncio.sleep(0.1)
        finally:
            process.kill()


async def more(acknowledged: set[str], number: int) -> None:
    """Wait for so many more."""
    enough = len(acknowledged) + number
    while len(acknowledged) < enough:  # noqa: ASYNC110 - nobody says when it comes true
        await asyncio.sleep(0.01)


def told(remote: RemoteServer) -> set[str]:
    return set(bodies(remote))
