"""A server that is killed while another one sends to it: nothing is missing in the end, or doubled."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import orjson

from palpo.core import event_hashes
from palpo.core.events import SignedEvent, build_event, parse_pdu
from palpo.core.room_versions import room_version
from palpo.core.x_matrix import SignedRequest, authorization
from tests.interop.test_sigkill import history, register
from tests.support.federation import Asked
from tests.support.pairs import Town
from tests.support.process import LOST, ServerProcess
from tests.support.remote_server import RemoteServer, remote_server
from tests.support.remote_users import BOB, KEY, SERVER

OURS = "hs1.test"
RULES = room_version("11")
KILLS = 3
PDUS = 20
TRANSACTIONS = 60
WAIT_S = 90.0
V1 = "/_matrix/federation/v1"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Sender:
    """The other server: its Bob writes one message after the other."""

    def __init__(self, http: httpx.AsyncClient, server: RemoteServer, room_id: str) -> None:
        self.http, self.server, self.room_id = http, server, room_id
        self.events: dict[str, SignedEvent] = {}
        self.auth: list[str] = []
        self.last = ""
        server.answers["POST", f"{V1}/get_missing_events/"] = self._missing

    async def ask(self, method: str, path: str, content: Any = None) -> Any:
        """Ask until there is an answer: the server may be killed any time."""
        request = SignedRequest(method=method, uri=path, origin=SERVER, destination=OURS, content=content)
        headers = {"Authorization": authorization(request, KEY)}
        body = None if content is None else orjson.dumps(content)
        while True:
            try:
                answer = await self.http.request(method, path, content=body, headers=headers)
            except LOST:
                await asyncio.sleep(0.02)
                continue
            assert answer.status_code == 200, answer.text
            return answer.json()

    async def join(self) -> None:
        room = quote(self.room_id, safe="")
        template = await self.ask("GET", f"{V1}/make_join/{room}/{quote(BOB, safe='')}?ver=11")
        pdu = event_hashes.sign_event(RULES, template["event"], SERVER, KEY)
        event = parse_pdu(RULES, pdu)
        path = f"/_matrix/federation/v2/send_join/{room}/{quote(event.event_id, safe='')}"
        told = await self.ask("PUT", path, pdu)
        wanted = {"m.room.create", "m.room.power_levels"}
        state = [parse_pdu(RULES, item) for item in told["state"]]
        self.auth = [item.event_id for item in state if item.type in wanted] + [event.event_id]
        self.last = event.event_id

    def message(self, body: str) -> SignedEvent:
        number = len(self.events)
        event = build_event(
            RULES,
            server_name=SERVER,
            key=KEY,
            room_id=self.room_id,
            type="m.room.message",
            sender=BOB,
            content={"msgtype": "m.text", "body": body},
            origin_server_ts=now_ms(),
            depth=100 + number,
            prev_events=[self.last],
            auth_events=self.auth,
        )
        self.events[event.event_id] = event
        self.last = event.event_id
        return event

    async def send(self, number: int, events: Iterable[SignedEvent]) -> None:
        content = {"origin": SERVER, "origin_server_ts": now_ms(), "pdus": [event.pdu for event in events]}
        await self.ask("PUT", f"{V1}/send/{number}", content)

    async def _missing(self, asked: Asked) -> Any:
        body = orjson.loads(asked.body)
        found: list[SignedEvent] = []
        name = self.events[body["latest_events"][0]].prev_events[0]
        while name in self.events and name not in body["earliest_events"] and len(found) < body["limit"]:
            found.append(self.events[name])
            name = self.events[name].prev_events[0]
        return {"events": [event.pdu for event in reversed(found)]}


async def test_what_another_server_sends_survives(tmp_path: Path) -> None:
    """Of every third transaction the first events are left out, and have to be asked for."""
    town = Town.of(tmp_path, SERVER)
    server = ServerProcess(tmp_path / "data", options=("--server-name", OURS))
    server.start()
    server.stop()
    more = (
        "[federation]",
        f'ca_file = "{town.authority.file}"',
        f'hosts = {{ "{SERVER}" = "{town.hosts[SERVER]}" }}',
        "[network]",
        'allow = ["127.0.0.0/8"]',
    )
    with (server.data / "palpo.toml").open("a") as file:
        file.writelines(f"\n{line}" for line in more)
    server.start()
    try:
        async with (
            remote_server(town, SERVER, key=KEY, now_ms=now_ms) as remote,
            httpx.AsyncClient(base_url=server.url, timeout=30) as http,
        ):
            remote.answers["PUT", f"{V1}/send/"] = {"pdus": {}}
            alice = await register(http, server, "alice")
            room_id = await alice.create_room(preset="public_chat", room_version="11")
            sender = Sender(http, remote, room_id)
            await sender.join()

            async def send_all() -> None:
                for number in range(TRANSACTIONS):
                    events = [sender.message(f"{number}-{item}") for item in range(PDUS)]
                    await sender.send(number, events[5:] if number % 3 == 0 else events)

            sending = asyncio.create_task(send_all())
            for kill in range(KILLS):
                while len(sender.events) < PDUS * TRANSACTIONS * (kill + 1) / (KILLS + 1):  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.start)
            await sending
            stored = await until_all(alice, room_id, len(sender.events))
    finally:
        server.kill()
    names = [event["event_id"] for event in stored]
    assert len(names) == len(set(names))
    assert set(names) == sender.events.keys()


async def until_all(alice: Any, room_id: str, count: int) -> list[dict[str, Any]]:
    """The messages of the room, once so many are there, or it has taken too long."""
    deadline = time.monotonic() + WAIT_S
    while True:
        stored = await history(alice, room_id)
        if len(stored) >= count or time.monotonic() > deadline:
            return stored
        await asyncio.sleep(0.5)
