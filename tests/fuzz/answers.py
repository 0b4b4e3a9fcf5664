"""Answers of other servers that are wrong in any way, to whatever they are asked by ours.

Each call has the right answers spoilt, and is made as a client would have it made. Nothing of it may be an
error of ours, or be stored if it may not be.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

from aiohttp import web
from structlog.testing import capture_logs

from palpo.core.identifiers import ServerName
from palpo.core.state_keys import JOIN_RULES, MEMBER
from tests.api.federation.test_backfill import Elsewhere
from tests.api.federation.test_missing_events import Past
from tests.api.federation.test_partial_joins import PartialResident
from tests.api.federation.test_policy_servers import CONTENT, STABLE, Policy
from tests.api.federation.test_remote_invites import Invited
from tests.fuzz.pdus import inspect
from tests.fuzz.spoiler import Spoiler
from tests.support.encryption import cross_signing_keys, device_keys, one_time_keys
from tests.support.federation import Asked
from tests.support.key_servers import HOUR_MS, signed
from tests.support.remote_rooms import RemoteRoom
from tests.support.remote_users import BOB, CAROL, KEY, SERVER
from tests.support.resident import Resident, refusal
from tests.support.transactions import Sender, sender_in

V1, V2 = "/_matrix/federation/v1", "/_matrix/federation/v2"
VERSIONS = ("1", "3", "6", "10", "11", "12")
Answering = Callable[[Asked], Awaitable[Any]]


@dataclass(slots=True)
class Found:
    """What came of a run."""

    answers: Counter[str] = field(default_factory=Counter)
    """That were spoilt, by what was asked."""
    statuses: Counter[int] = field(default_factory=Counter)
    """Of what clients were told then."""
    stored: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return sum(self.answers.values())


class Fuzzer:
    """Has calls made, and their answers spoilt."""

    def __init__(self, sender: Sender, rng: Random) -> None:
        self.ours, self.remote, self.alice = sender.ours, sender.server, sender.alice
        self.sender = sender
        self.rng = rng
        self.spoiler = Spoiler(rng)
        self.found = Found()
        self._number = 0
        self.calls: list[Callable[[], Awaitable[None]]] = [
            self.join, self.partial_join, self.knock, self.invite, self.profile, self.alias, self.directory,
            self.hierarchy, self.user_keys, self.one_time_keys, self.devices, self.media, self.missing,
            self.past, self.policy, self.server_keys, self.transaction,
        ]  # fmt: skip

    async def ask(self, method: str, path: str, content: Any = None, **query: Any) -> None:
        """Have a client ask, and look at what it is told."""
        headers = {"Authorization": f"Bearer {self.alice.token}"}
        url = path[1:] if path.startswith("//") else f"/_matrix/client/v3{path}"
        body = {} if content is None and method != "GET" else content
        told = await self.alice.http.request(method, url, json=body, params=query, headers=headers)
        self.found.statuses[told.status_code] += 1
        if told.status_code >= 500 and (told.status_code != 502 or "/media/" not in path):
            self.found.findings.append(f"{method} {path}: {told.status_code} {told.text[:500]}")

    def spoil(self, *nouns: str) -> None:
        """Have the answers with these in their paths be spoilt."""
        for key, right in list(self.remote.answers.items()):
            if any(noun in key[1] for noun in nouns):
                self.remote.answers[key] = self._spoiling(key[1], right)

    def _spoiling(self, where: str, right: Any) -> Answering:
        async def answer(asked: Asked) -> Any:
            try:
                value = await right(asked) if callable(right) else right
            except (LookupError, ValueError):
                return refusal(404, "M_NOT_FOUND")  # It was asked for what somebody made up.
            if isinstance(value, web.Response):
                return value
            self.found.answers[where] += 1
            body = self.spoiler.body(value)
            return web.Response(body=body, content_type="application/json")

        return answer

    def name(self) -> str:
        self._number += 1
        return f"n{self._number}"

    def room(self) -> RemoteRoom:
        room = RemoteRoom(self.rng.choice(VERSIONS), name=self.name(), time=self._number * 1000)
        self.spoiler.names += room.events
        del self.spoiler.names[4:-200]
        return room

    async def join(self) -> None:
        room = self.room()
        Resident(self.remote, room)
        self.spoil(self.rng.choice(("make_join", "send_join")))
        await self.ask("POST", f"/join/{room.room_id}", via=SERVER)

    async def partial_join(self) -> None:
        """A join without members, and the state afterwards."""
        room = self.room()
        for number in range(3):
            user_id = f"@user{number}:{SERVER}"
            room.add(user_id, (MEMBER, user_id), {"membership": "join"})
        PartialResident(self.remote, room).given.set()
        self.spoil(*self.rng.choice((["state_ids"], ["state_ids", "/state/"], ["/event/"], ["send_join"])))
        await self.ask("POST", f"/join/{room.room_id}", via=SERVER)
        topic = room.add(BOB, ("m.room.topic", ""), {"topic": "x"})
        await self.sender.send(topic)

    async def knock(self) -> None:
        room = self.room()
        room.add(BOB, JOIN_RULES, {"join_rule": "knock"})
        Resident(self.remote, room)
        self.spoil(self.rng.choice(("make_knock", "send_knock", "make_leave", "send_leave")))
        await self.ask("POST", f"/knock/{room.room_id}", via=SERVER)
        await self.ask("POST", f"/rooms/{room.room_id}/leave")

    async def invite(self) -> None:
        invited = Invited(self.remote, "10")
        self.remote.answers["PUT", f"{V2}/invite/"] = invited.second
        self.spoil("invite")
        await self.ask("POST", f"/rooms/{self.ten}/invite", {"user_id": f"@{self.name()}:{SERVER}"})

    async def profile(self) -> None:
        told = {"displayname": "Bob", "avatar_url": f"mxc://{SERVER}/x", "m.tz": "UTC", "org.x": {"a": [1]}}
        self.remote.answers["GET", f"{V1}/query/profile"] = told
        self.spoil("query/profile")
        await self.ask("GET", f"/profile/@{self.name()}:{SERVER}")

    async def alias(self) -> None:
        told = {"room_id": f"!x:{SERVER}", "servers": [SERVER, "b.example"]}
        self.remote.answers["GET", f"{V1}/query/directory"] = told
        self.spoil("query/directory")
        await self.ask("GET", f"/directory/room/%23{self.name()}%3A{SERVER}")

    async def directory(self) -> None:
        told = {
            "chunk": [self._shown("a"), self._shown("b")],
            "next_batch": "n",
            "total_room_count_estimate": 2,
        }
        for method in ("GET", "POST"):
            self.remote.answers[method, f"{V1}/publicRooms"] = told
        self.spoil("publicRooms")
        await self.ask("GET", f"/publicRooms?server={SERVER}")
        await self.ask("POST", f"/publicRooms?server={SERVER}", {"filter": {"generic_search_term": "a"}})

    def _shown(self, name: str, **more: Any) -> dict[str, Any]:
        shown = {
            "num_joined_members": 3,
            "world_readable": True,
            "guest_can_join": True,
            "join_rule": "public",
        }
        words = {"name": name, "topic": name, "canonical_alias": f"#{name}:{SERVER}", "room_version": "11"}
        return {**shown, **words, "room_id": f"!{name}:{SERVER}", **more}

    async def hierarchy(self) -> None:
        child = {
            "type": "m.space.child", "state_key": f"!near:{SERVER}",
            "content": {"via": [SERVER], "order": "a"}, "sender": BOB, "origin_server_ts": 1,
        }  # fmt: skip
        space = self._shown("space", room_type="m.space", children_state=[child, child])
        told = {"room": space, "children": [self._shown("near")], "inaccessible_children": [f"!far:{SERVER}"]}
        self.remote.answers["GET", f"{V1}/hierarchy/"] = told
        self.spoil("hierarchy")
        await self.ask("GET", f"//_matrix/client/v1/rooms/{self.space}/hierarchy")

    async def user_keys(self) -> None:
        signing = cross_signing_keys(BOB, "bob")
        self.remote.answers["POST", f"{V1}/user/keys/query"] = {
            "device_keys": {
                BOB: {"PHONE": device_keys(BOB, "PHONE"), "PC": device_keys(BOB, "PC")},
                CAROL: {},
            },
            "master_keys": {BOB: signing["master_key"]},
            "self_signing_keys": {BOB: signing["self_signing_key"]},
        }
        self.spoil("keys/query")
        await self.ask("POST", "/keys/query", {"device_keys": {BOB: [], CAROL: []}})

    async def one_time_keys(self) -> None:
        told = {BOB: {"PHONE": dict(one_time_keys(BOB, "PHONE", 2))}}
        self.remote.answers["POST", f"{V1}/user/keys/claim"] = {"one_time_keys": told}
        self.spoil("keys/claim")
        await self.ask("POST", "/keys/claim", {"one_time_keys": {BOB: {"PHONE": "signed_curve25519"}}})

    async def devices(self) -> None:
        """A gap in what is told of Bob's devices, by which all of them are asked for."""
        keys = device_keys(BOB, "PC")
        told = [{"device_id": "PC", "keys": keys, "device_display_name": "PC"}]
        answer = {
            "user_id": BOB,
            "stream_id": self._number,
            "devices": told,
            **cross_signing_keys(BOB, "bob"),
        }
        self.remote.answers["GET", f"{V1}/user/devices/"] = answer
        self.spoil("user/devices")
        update = {
            "user_id": BOB,
            "device_id": "PC",
            "stream_id": self._number + 9,
            "prev_id": [self._number + 8],
        }
        await self.ours.services.federation.edus.receive(
            ServerName(SERVER), "m.device_list_update", {**update, "keys": keys}
        )
        await self.ask("POST", "/keys/query", {"device_keys": {BOB: []}})

    async def media(self) -> None:
        """Of several parts, the first of which is JSON."""
        json = self.spoiler.body({"a": {"b": [1]}})
        parts = [
            b"",
            b"--b\r\nContent-Type: application/json\r\n\r\n" + json,
            b"--b\r\nContent-Type: text/plain",
        ]
        parts += [b"Location: https://127.0.0.1:1/x", b"", b"the file", b"--b--", b""]
        self.rng.shuffle(parts) if self.rng.random() < 0.3 else None
        body = b"\r\n".join(part for part in parts if self.rng.random() < 0.9)
        kinds = ("multipart/mixed; boundary=b", "multipart/mixed", "multipart/mixed; boundary=", "text/plain")

        async def answer(asked: Asked) -> web.Response:
            self.found.answers["media"] += 1
            return web.Response(body=body, headers={"Content-Type": self.rng.choice(kinds)})

        for noun in ("download", "thumbnail"):
            self.remote.answers["GET", f"{V1}/media/{noun}/"] = answer
        where = f"//_matrix/client/v1/media/%s/{SERVER}/{self.name()}"
        await self.ask("GET", where % "download", timeout_ms=100)
        await self.ask("GET", where % "thumbnail", width=32, height=32, timeout_ms=100)

    async def missing(self) -> None:
        """What is before an event, and the state there."""
        past = Past(self.sender)
        events = await past.messages(self.rng.choice((3, 5)))
        past.state = await past.now()
        self.remote.answers["GET", f"{V1}/backfill/"] = past._missing
        if self.rng.random() < 0.5:
            past.events.pop(events[0].event_id)
        self.spoil(*self.rng.sample(("missing", "/event/", "state_ids", "event_auth", "backfill"), 2))
        await self.sender.send(events[-1])
        await self.sender.settled()

    async def past(self) -> None:
        """Pages of a room whose past is elsewhere, and an event near a time."""
        elsewhere = Elsewhere(self.ours, self.remote, self.alice)
        elsewhere.room = self.room()
        Resident(self.remote, elsewhere.room)
        said = [elsewhere.say(f"{number}") for number in range(6)]
        await elsewhere.join()
        near = {"event_id": said[1].event_id, "origin_server_ts": said[1].pdu["origin_server_ts"]}
        self.remote.answers["GET", f"{V1}/timestamp_to_event/"] = near
        self.remote.answers["POST", "/_matrix/federation/unstable/event_relationships"] = {
            "events": [event.pdu for event in said], "limited": False, "auth_chain": []
        }  # fmt: skip
        self.spoil(*self.rng.sample(("backfill", "/event/", "state_ids", "timestamp", "relationships"), 3))
        room = quote(elsewhere.room.room_id, safe="")
        await self.ask("GET", f"//_matrix/client/v1/rooms/{room}/timestamp_to_event?ts=1&dir=f")
        await self.ask("GET", f"/rooms/{room}/messages?dir=b&limit=50")

    async def policy(self) -> None:
        self.remote.answers["POST", STABLE] = Policy().sign
        self.spoil("policy")
        await self.ask("PUT", f"/rooms/{self.judged}/send/m.room.message/{self.name()}", {"body": "x"})

    async def server_keys(self) -> None:
        """The server's own keys, some time after they were looked at last."""
        self.ours.clock.advance(200 * HOUR_MS)
        until = self.ours.clock.now_ms() + 24 * HOUR_MS
        where = ("GET", "/_matrix/key/v2/server")
        self.remote.answers[where] = signed(SERVER, [KEY], valid_until_ts=until)
        self.spoil("key/v2")
        told = await self.remote.raw(self.ours, "GET", f"{V1}/publicRooms")
        self.found.statuses[told.status_code] += 1
        if told.status_code >= 500:
            self.found.findings.append(f"keys: {told.text[:500]}")
        del self.remote.answers[where]

    async def transaction(self) -> None:
        """What is answered to one of ours."""
        self.remote.answers["PUT", f"{V1}/send/"] = {"pdus": {"$x": {"error": "no"}, "$y": {}}}
        self.spoil("/send/")
        await self.ask(
            "PUT", f"/rooms/{self.sender.room.room_id}/send/m.room.message/{self.name()}", {"body": "x"}
        )
        await asyncio.sleep(0)

    async def prepare(self) -> None:
        self.ten = await self.alice.create_room(preset="public_chat", room_version="10")
        self.space = await self.alice.create_room(creation_content={"type": "m.space"})
        link = f"/rooms/{self.space}/state/m.space.child/!space:{SERVER}"
        await self.alice.put(link, {"via": [SERVER]})
        self.judged = await self.alice.create_room(preset="public_chat", room_version="12")
        await self.alice.put(f"/rooms/{self.judged}/state/m.room.policy", CONTENT)

    async def run(self, answers: int) -> Found:
        """Go on until so many answers were spoilt."""
        await self.prepare()
        while self.found.count < answers:
            self.ours.clock.advance(HOUR_MS)
            self.remote.answers.clear()
            del self.remote.asked[:-50]
            call = self.rng.choice(self.calls)
            with capture_logs() as logs:
                try:
                    await call()
                except Exception as error:  # noqa: BLE001 - it is what is looked for
                    self.found.findings.append(f"{call.__name__}: {error!r}"[:2000])
            for entry in logs:
                if entry["log_level"] in ("error", "critical") or "exc_info" in entry:
                    self.found.findings.append(f"{call.__name__}: {entry!r}"[:3000])
        await self.ask("GET", "/sync")
        for room_id in (await self.alice.get("/joined_rooms"))["joined_rooms"]:
            self.found.stored += await inspect(self.ours, room_id, self.found.findings)
        return self.found


@asynccontextmanager
async def fuzzer(folder: Path, seed: int) -> AsyncIterator[Fuzzer]:
    """With a server of its own."""
    async with sender_in(folder) as sender:
        yield Fuzzer(sender, Random(seed))


async def fuzz(folder: Path, *, answers: int, seed: int) -> Found:
    """Spoil so many answers; what came of it."""
    async with fuzzer(folder, seed) as running:
        return await running.run(answers)
