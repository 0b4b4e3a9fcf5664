"""Events of another server that are wrong in any way: ``python -m tests.fuzz.pdus --events 100000``.

Each is made from a good one by a few changes, and half of them are hashed and signed anew, so that they get
as far as the room's rules. What other servers are asked for meanwhile is answered as badly.

Nothing of it may be an error of ours, or be stored if it may not be.
"""

# ruff: noqa: T201 - a command
from __future__ import annotations

import argparse
import copy
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

import uvloop
from structlog.testing import capture_logs

from palpo.core import event_hashes
from palpo.core.canonical_json import to_json
from palpo.core.errors import MatrixError
from palpo.core.events import SignedEvent, parse_pdu
from palpo.core.identifiers import ServerName
from palpo.core.records.events import EventStatus
from palpo.core.room_versions import room_version
from palpo.storage import events as events_storage
from tests.support.federation import Asked
from tests.support.homeserver import Homeserver
from tests.support.remote_users import BOB, CAROL, KEY, SERVER, Remote
from tests.support.transactions import MEMBER, Sender, sender_in

VERSIONS = ("1", "3", "6", "9", "10", "11", "12")
PDUS = 50
TRANSACTION_S = 10.0
"""Seconds that a transaction may take; what is missing is fetched afterwards."""
FAULTS = ("background_task_failed",)


@dataclass(slots=True)
class Result:
    """What came of a run."""

    sent: int = 0
    stored: Counter[str] = field(default_factory=Counter)
    """Of those in timelines, by status."""
    verdicts: Counter[str] = field(default_factory=Counter)
    """Those that the log tells of, with those that were fetched."""
    findings: list[str] = field(default_factory=list)


class Mutator:
    """Makes bad events of good ones."""

    def __init__(self, rng: Random, names: list[str]) -> None:
        """``names`` are IDs of events, of any rooms; more come to it."""
        self._rng = rng
        self.names = names

    def bad(self, version: str, event: SignedEvent) -> Any:
        """One of them."""
        pdu = copy.deepcopy(event.pdu)
        for _ in range(self._rng.choice((1, 1, 1, 2, 3))):
            self.change(pdu)
        if self._rng.random() < 0.5:
            try:
                return event_hashes.sign_event(room_version(version), {**pdu, "signatures": {}}, SERVER, KEY)
            except (MatrixError, AttributeError, TypeError, KeyError, ValueError):
                return pdu
        return pdu

    def change(self, value: Any) -> None:
        """Change something somewhere within an object or an array."""
        rng = self._rng
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        if not keys or rng.random() < 0.1:
            if isinstance(value, dict):
                value[rng.choice(WORDS)] = self._any()
            else:
                value.append(self._any())
            return
        key = rng.choice(keys)
        if isinstance(value[key], dict | list) and rng.random() < 0.6:
            self.change(value[key])
        elif rng.random() < 0.15:
            del value[key]
        else:
            value[key] = self._any()

    def _any(self) -> Any:
        rng = self._rng
        match rng.randrange(7):
            case 0:
                return rng.choice(self.names)
            case 1:
                return rng.sample(self.names, min(len(self.names), rng.randrange(30)))
            case 2:
                return rng.choice(NUMBERS)
            case 3:
                return rng.choice(WORDS)
            case 4:
                return {rng.choice(WORDS): self._any()}
            case 5:
                return [self._any() for _ in range(rng.randrange(3))]
            case _:
                return copy.deepcopy(rng.choice(OTHERS))

    def answer(self, version: str, events: list[SignedEvent]) -> Any:
        """What a server might say that is asked about events."""
        rng = self._rng
        pdus = [self.bad(version, rng.choice(events)) for _ in range(rng.randrange(4))]
        pdus += [rng.choice(events).pdu for _ in range(rng.randrange(4))]
        answer: Any = {
            "events": pdus,
            "pdus": pdus,
            "auth_chain": list(pdus),
            "pdu_ids": rng.sample(self.names, min(len(self.names), 9)),
            "auth_chain_ids": rng.sample(self.names, min(len(self.names), 9)),
        }
        if rng.random() < 0.3:
            self.change(answer)
        return answer


def _deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


WORDS = (
    "", "\0", "x", "é💥", "join", "leave", "ban", "invite", "knock", "public", "restricted", "membership",
    "users", "prev_events", "auth_events", "state_key", "type", "m.room.member", "m.room.power_levels",
    "m.room.create", "m.room.join_rules", "m.room.redaction", "m.room.aliases", "redacts", "room_version",
    "third_party_invite", "signed", "join_authorised_via_users_server", "allow", "unsigned", "__proto__",
    BOB, CAROL, "@:", "@alice:hs1.test", "!x:y", "$x", "sha256", "a" * 300, "1" * 70_000,
)  # fmt: skip
NUMBERS = (0, 1, -1, 50, 100, 2**53, -(2**53), 2**63, 2**200, 1.5, 1e300, True, False)
OTHERS = (None, {}, [], [[]], [["$a", {}]], {"users": {BOB: 100}}, _deep(150), _deep(400))


class Room:
    """A room of ours that Bob is in, and good events of his."""

    def __init__(self, sender: Sender, version: str, view: Remote) -> None:
        self.sender, self.version, self.view = sender, version, view
        self._number = 0

    @classmethod
    async def create(cls, sender: Sender, version: str) -> Room:
        room_id = await sender.alice.create_room(
            preset="public_chat", room_version=version, power_level_content_override={"users_default": 40}
        )
        room = cls(sender, version, Remote(sender.ours, room_id))
        await sender.send(await room.event((MEMBER, BOB), {"membership": "join"}))
        return room

    async def event(self, key: Any, content: Any) -> SignedEvent:
        self._number += 1
        name = f"$e{self._number}:{SERVER}"
        return await self.view.event(BOB, key, content, event_id=name if self.version == "1" else None)

    async def good(self) -> list[SignedEvent]:
        return [
            await self.event("m.room.message", {"body": "hello", "m.mentions": {"user_ids": [CAROL]}}),
            await self.event((MEMBER, BOB), {"membership": "join", "displayname": "Bob"}),
            await self.event(("m.room.topic", ""), {"topic": "x"}),
            await self.event((MEMBER, CAROL), {"membership": "invite"}),
            await self.event(("m.room.power_levels", ""), {"users": {BOB: 40}, "users_default": 40}),
            await self.event("m.room.redaction", {"redacts": "$x", "reason": "no"}),
        ]


async def fuzz(folder: Path, *, events: int, seed: int) -> Result:
    """Send so many bad events; what came of it."""
    rng, result = Random(seed), Result()
    async with sender_in(folder) as sender:
        rooms = [await Room.create(sender, version) for version in VERSIONS]
        names: list[str] = ["$x:y", "$" + "A" * 43]
        mutator = Mutator(rng, names)
        known = {room.version: await room.good() for room in rooms}

        async def answer(asked: Asked) -> Any:
            named = [room for room in rooms if quote(room.view.room_id, safe="") in asked.uri]
            room = rng.choice(named or rooms)
            return mutator.answer(room.version, known[room.version])

        sender.server.answers["GET", "/_matrix/federation/"] = answer
        sender.server.answers["POST", "/_matrix/federation/"] = answer
        while result.sent < events:
            room = rooms[result.sent // PDUS % len(rooms)]
            good = known[room.version] = await room.good()
            names += [event.event_id for event in good]
            names[:-200] = []
            pdus = [mutator.bad(room.version, rng.choice(good)) for _ in range(PDUS)]
            await _send(sender, room, result, pdus)
        await sender.settled()
        for room in rooms:
            await _inspect(sender, room, result)
    return result


async def _send(sender: Sender, room: Room, result: Result, pdus: list[Any]) -> None:
    """One transaction, without the request around it: what is signed there is tested elsewhere."""
    receive = sender.ours.services.federation.transactions.receive
    begun = time.perf_counter()
    with capture_logs() as logs:
        try:
            await receive(ServerName(SERVER), f"fuzz{result.sent}", [to_json(pdu) for pdu in pdus], [])
        except Exception as error:  # noqa: BLE001 - it is what is looked for
            result.findings.append(f"{room.version}: {error!r} for one of {pdus!r}"[:5000])
        if result.sent % 20 == 0:
            await sender.settled()
    for entry in logs:
        if entry["event"] == "pdu":
            result.verdicts[entry["verdict"]] += 1
        if entry["event"] in FAULTS:
            result.findings.append(f"{room.version}: {entry!r}"[:5000])
    if time.perf_counter() - begun > TRANSACTION_S:
        result.findings.append(f"{room.version}: {time.perf_counter() - begun:.1f} s")
    result.sent += len(pdus)


async def _inspect(sender: Sender, room: Room, result: Result) -> None:
    result.stored += await inspect(sender.ours, room.view.room_id, result.findings)
    await sender.alice.send(room.view.room_id, "still here")


async def inspect(ours: Homeserver, room_id: str, findings: list[str]) -> Counter[str]:
    """See that what is stored of a room may be; how many events are in its timeline, by status."""
    db, history = ours.services.server.db, ours.services.history
    stored: Counter[str] = Counter()
    head = await history.room_heads.get(room_id)
    names = await db.read(
        lambda tx: events_storage.latest_ids(tx, head.room_id, after=-(2**62), upto=2**62, limit=10**6)
    )
    signed = await history.events.signed(names)
    for event in signed.values():
        item = await history.events.get(event.event_id)
        stored[item.status.name] += 1
        try:
            parse_pdu(head.rules, event.pdu, room_id=head.room_id)
        except MatrixError as error:
            findings.append(f"{room_id}: {event.event_id} is stored: {error}")
        if item.status is not EventStatus.ACCEPTED:
            findings.append(f"{room_id}: {event.event_id} is in the timeline")
    state = await history.events.full_state(head.state_root)
    for key, item in state.items():
        if item.event.key != key or item.event.room_id != head.room_id:
            findings.append(f"{room_id}: {item.event_id} is no state of the room")
    return stored


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.pdus", description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="palpo-fuzz-") as folder:
        result = uvloop.run(fuzz(Path(folder), events=options.events, seed=options.seed))
    print(f"{result.sent} events; verdicts: {dict(result.verdicts)}; in timelines: {dict(result.stored)}")
    print(f"{len(result.findings)} findings")
    for finding in result.findings[:20]:
        print(f"\n{finding}")
    return 1 if result.findings else 0


if __name__ == "__main__":
    sys.exit(main())
