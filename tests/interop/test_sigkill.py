"""A server that is killed amid sends: nothing that was acknowledged is missing, nothing is doubled."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx

from tests.support.homeserver import Client
from tests.support.process import LOST, ServerProcess

SENDERS = 8
KILLS = 3


async def register(http: httpx.AsyncClient, server: ServerProcess, name: str) -> Client:
    body: dict[str, Any] = {"username": name, "password": "correct horse battery"}
    anyone = Client(http)
    session = (await anyone.post("/register", body, status=401))["session"]
    token = {"type": "m.login.registration_token", "token": server.registration_token, "session": session}
    answer = await anyone.post("/register", {**body, "auth": token}, status=None)
    if "access_token" not in answer:
        dummy = {"type": "m.login.dummy", "session": session}
        answer = await anyone.post("/register", {**body, "auth": dummy})
    return Client(http, answer["user_id"], answer["access_token"], answer["device_id"])


async def test_acknowledged_messages_survive(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data")
    server.start()
    acknowledged: dict[str, str] = {}
    try:
        async with httpx.AsyncClient(base_url=server.url, timeout=10) as http:
            alice = await register(http, server, "alice")
            room_id = await alice.create_room()

            async def send_many(sender: int) -> None:
                """Send until the server has been killed often enough, trying again whatever failed."""
                for number in range(10_000):
                    transaction = f"{sender}-{number}"
                    while transaction not in acknowledged:
                        if stopping.is_set():
                            return
                        try:
                            acknowledged[transaction] = await put(transaction)
                        except LOST:
                            await asyncio.sleep(0.02)

            async def put(transaction: str) -> str:
                path = f"/_matrix/client/v3/rooms/{room_id}/send/m.room.message/{transaction}"
                headers = {"Authorization": f"Bearer {alice.token}"}
                content = {"msgtype": "m.text", "body": transaction}
                response = await http.put(path, json=content, headers=headers)
                while response.status_code == 429:
                    await asyncio.sleep(response.json()["retry_after_ms"] / 1000)
                    response = await http.put(path, json=content, headers=headers)
                assert response.status_code == 200, response.text
                event_id: str = response.json()["event_id"]
                return event_id

            stopping = asyncio.Event()
            senders = [asyncio.create_task(send_many(number)) for number in range(SENDERS)]
            for _ in range(KILLS):
                before = len(acknowledged)
                while len(acknowledged) < before + 60:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.start)
            await asyncio.sleep(0.3)
            stopping.set()
            await asyncio.gather(*senders)
            for transaction, event_id in list(acknowledged.items())[-20:]:
                assert await put(transaction) == event_id, "the same request made a second event"
            stored = await history(alice, room_id)
    finally:
        server.kill()
    bodies = [event["content"]["body"] for event in stored]
    assert len(bodies) == len(set(bodies)), "a message is doubled"
    by_body = {event["content"]["body"]: event["event_id"] for event in stored}
    assert {transaction: by_body.get(transaction) for transaction in acknowledged} == acknowledged


async def history(client: Client, room_id: str) -> list[dict[str, Any]]:
    """Every message of the room."""
    found: list[dict[str, Any]] = []
    params: dict[str, Any] = {"dir": "b", "limit": 100}
    while True:
        page = await client.get(f"/rooms/{room_id}/messages", params=params)
        found += [event for event in page["chunk"] if event["type"] == "m.room.message"]
        if "end" not in page:
            return found
        params["from"] = page["end"]
