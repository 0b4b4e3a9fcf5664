"""Transactions of other servers that are wrong in any way, as requests: their events, their EDUs, their JSON.

They are about rooms of ours, about one whose state is not whole yet (MSC3902), and about rooms elsewhere.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from structlog.testing import capture_logs

from palpo.core.canonical_json import to_json
from palpo.core.errors import MatrixError
from palpo.core.json_parts import signed_forms
from palpo.core.state_keys import MEMBER
from tests.api.federation.test_partial_joins import PartialResident
from tests.fuzz.pdus import Room, inspect
from tests.fuzz.spoiler import Spoiler
from tests.security.test_edus import of_user
from tests.support.remote_rooms import RemoteRoom
from tests.support.remote_users import BOB, SERVER
from tests.support.transactions import Sender, sender_in

VERSIONS = ("1", "6", "10", "12")
EACH = 10
"""Events and EDUs of one transaction, up to."""


@dataclass(slots=True)
class Sent:
    """What came of a run."""

    events: int = 0
    edus: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    stored: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return self.events + self.edus


class Fuzzer:
    """Sends them."""

    def __init__(self, sender: Sender, seed: int) -> None:
        self.sender = sender
        self.spoiler = Spoiler(Random(seed))
        self.rng = self.spoiler.rng
        self.sent = Sent()
        self.rooms: list[Room] = []
        self.partial = RemoteRoom("11", name="partial")

    async def prepare(self) -> None:
        self.rooms = [await Room.create(self.sender, version) for version in VERSIONS]
        for number in range(3):
            user_id = f"@user{number}:{SERVER}"
            self.partial.add(user_id, (MEMBER, user_id), {"membership": "join"})
        self.resident = PartialResident(self.sender.server, self.partial)
        await self.sender.alice.post(f"/join/{self.partial.room_id}", params={"via": SERVER})

    async def good(self) -> list[dict[str, Any]]:
        """Events that are right, of one room or another."""
        draw = self.rng.random()
        if draw < 0.6:
            return [event.pdu for event in await self.rng.choice(self.rooms).good()]
        room = self.partial if draw < 0.9 else RemoteRoom(self.rng.choice(VERSIONS), name="nowhere")
        user_id = f"@user{self.rng.randrange(3)}:{SERVER}"
        return [
            room.event(user_id, "m.room.message", {"body": "x"}).pdu,
            room.event(BOB, (MEMBER, self.sender.alice.user_id), {"membership": "leave"}).pdu,
            room.event(BOB, ("m.room.topic", ""), {"topic": "x"}).pdu,
            room.event(user_id, (MEMBER, user_id), {"membership": "leave"}).pdu,
        ]

    async def send(self) -> None:
        """One transaction."""
        pdus = self.rng.sample(good := await self.good(), self.rng.randrange(len(good) + 1))
        edus = self.rng.sample(made := of_user(self.sender, BOB, "$x"), self.rng.randrange(len(made) + 1))
        self.sent.events += len(pdus)
        self.sent.edus += len(edus)
        parts = [self.spoiler.json(item)[0] for item in pdus], [self.spoiler.json(item)[0] for item in edus]
        outside = b'"origin":"%b","origin_server_ts":1' % SERVER.encode()
        body = b'{%b,"pdus":[%b],"edus":[%b]}' % (outside, *(b",".join(part) for part in parts))
        if self.rng.random() < 0.1:
            body = self.spoiler.body({"origin": SERVER, "origin_server_ts": 1, "pdus": pdus, "edus": edus})
        try:
            form = signed_forms(body)[0]
        except MatrixError:
            form = to_json(None)
        path = f"/_matrix/federation/v1/send/{self.sent.count}-{self.rng.random()}"
        with capture_logs() as logs:
            told = await self.sender.server.send_json(self.sender.ours, "PUT", path, body, form)
            if self.rng.random() < 0.1:
                await self.sender.settled()
        self.sent.statuses[told.status_code] += 1
        if told.status_code >= 500:
            self.sent.findings.append(f"{told.status_code} {told.text[:300]} to {body!r}"[:5000])
        for entry in logs:
            if entry["event"] == "pdu":
                self.sent.verdicts[entry["verdict"]] += 1
            if entry["log_level"] in ("error", "critical") or "exc_info" in entry:
                self.sent.findings.append(f"{entry!r}"[:3000])

    async def run(self, count: int) -> Sent:
        """Send so many events and EDUs."""
        await self.prepare()
        while self.sent.count < count:
            await self.send()
            self.sender.ours.clock.advance(1000)
            del self.sender.server.asked[:-50]
        await self._inspect()
        self.resident.given.set()
        await self.sender.settled()
        await self._inspect()
        return self.sent

    async def _inspect(self) -> None:
        self.sent.stored.clear()
        for room_id in [room.view.room_id for room in self.rooms] + [self.partial.room_id]:
            self.sent.stored += await inspect(self.sender.ours, room_id, self.sent.findings)
        await self.sender.alice.get("/sync")


async def fuzz(folder: Path, *, count: int, seed: int) -> Sent:
    """Send so many events and EDUs; what came of it."""
    async with sender_in(folder) as sender:
        return await Fuzzer(sender, seed).run(count)
