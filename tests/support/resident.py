"""A fake server in a room, which lets users of ours in, as far as a test has it do so.

async with remote_server(town, SERVER, key=KEY, now_ms=ours.clock.now_ms) as remote:
    Resident(remote, RemoteRoom()).answer()
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson
from aiohttp import web

from palpo.core.event_hashes import add_signature
from palpo.core.events import SignedEvent, StateKey, parse_pdu
from palpo.core.state_keys import MEMBER
from tests.support.federation import Asked
from tests.support.remote_rooms import RemoteRoom
from tests.support.remote_server import RemoteServer

FEDERATION = "/_matrix/federation"


class Resident:
    """Answers what is asked about one room; what it took is ``taken``."""

    def __init__(self, remote: RemoteServer, room: RemoteRoom, *, versions: Collection[int] = (1, 2)) -> None:
        """``versions`` are those of ``send_…`` that it has."""
        self.remote = remote
        self.room = room
        self.taken: list[SignedEvent] = []
        self.arrived = asyncio.Event()
        """That there is something."""
        self.authoriser: str | None = None
        """Who vouches for joins."""
        self.version = room.rules.id
        """Of the room, as it says in templates."""
        self.template: dict[str, Any] = {}
        """What it says otherwise in templates."""
        self.told: dict[str, Any] = {}
        """What it says otherwise of the room."""
        for name in ("join", "leave", "knock"):
            remote.answers["GET", f"{FEDERATION}/v1/make_{name}/"] = self.make
            for version in versions:
                remote.answers["PUT", f"{FEDERATION}/v{version}/send_{name}/"] = self.send

    @property
    def asked(self) -> list[Asked]:
        """What was asked about it so far."""
        return [item for item in self.remote.asked if "/make_" in item.uri or "/send_" in item.uri]

    async def make(self, asked: Asked) -> Any:
        """A template."""
        url = urlsplit(asked.uri)
        _, _, _, _, name, room_id, user_id = url.path.split("/")
        membership, user_id = name.removeprefix("make_"), unquote(user_id)
        versions = [value for key, value in parse_qsl(url.query) if key == "ver"]
        if unquote(room_id) != self.room.room_id:
            return refusal(404, "M_NOT_FOUND")
        if versions and self.room.rules.id not in versions:
            return refusal(400, "M_INCOMPATIBLE_ROOM_VERSION")
        content = {"membership": membership, "displayname": "not theirs to say"}
        if self.authoriser is not None:
            content["join_authorised_via_users_server"] = self.authoriser
        event = self.room.event(user_id, (MEMBER, user_id), content)
        template = {
            key: value for key, value in event.pdu.items() if key not in ("hashes", "signatures", "event_id")
        }
        return {"room_version": self.version, "event": {**template, **self.template}}

    async def send(self, asked: Asked) -> Any:
        """Take an event."""
        _, _, _, version, name, _, event_id = asked.uri.partition("?")[0].split("/")
        pdu = orjson.loads(asked.body)
        event = parse_pdu(self.room.rules, pdu, room_id=self.room.room_id)
        assert event.event_id == unquote(event_id)
        state = dict(self.room.state)
        self.taken.append(event)
        self.arrived.set()
        signed = add_signature(self.room.rules, pdu, self.remote.name, self.remote.key)
        self.room.take(parse_pdu(self.room.rules, signed))
        answer = {"send_join": self._joined, "send_leave": self._left, "send_knock": self._knocked}[name]
        told = {**answer(event, state), **self.told}
        return [200, told] if version == "v1" and name != "send_knock" else told

    def _joined(self, event: SignedEvent, state: dict[StateKey, SignedEvent]) -> dict[str, Any]:
        chain = self.room.auth_chain(state.values())
        return {
            "origin": self.remote.name,
            "state": [item.pdu for item in state.values()],
            "auth_chain": [item.pdu for item in chain],
            "event": self.room.events[event.event_id].pdu,
        }

    def _left(self, event: SignedEvent, state: dict[StateKey, SignedEvent]) -> dict[str, Any]:
        return {}

    def _knocked(self, event: SignedEvent, state: dict[StateKey, SignedEvent]) -> dict[str, Any]:
        return {"knock_room_state": [item.pdu for item in state.values() if item.type != MEMBER]}


def refusal(status: int, errcode: str) -> web.Response:
    """An error."""
    return web.json_response({"errcode": errcode, "error": "No."}, status=status)
