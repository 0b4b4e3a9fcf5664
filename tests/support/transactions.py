"""Another homeserver that sends transactions to one of ours, in a room of which it has users."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from palpo.core.events import SignedEvent
from palpo.core.records.events import EventStatus
from palpo.storage import inbound_pdus
from palpo.storage.inbound_pdus import InboundPdu
from tests.support.federation import Asked
from tests.support.homeserver import Client, Homeserver
from tests.support.pairs import Town
from tests.support.remote_server import RemoteServer, remote_server
from tests.support.remote_users import BOB, KEY, SERVER, Remote

MEMBER = "m.room.member"


def text(body: str) -> dict[str, str]:
    return {"msgtype": "m.text", "body": body}


class Sender:
    """``remote.example``, which has a user in a room of ours: Bob."""

    def __init__(self, ours: Homeserver, server: RemoteServer, alice: Client, room: Remote) -> None:
        self.ours, self.server, self.alice, self.room = ours, server, alice, room
        self._number = 0

    def restarted(self, ours: Homeserver) -> None:
        """Go on with the same server of ours, which was stopped and started."""
        self.ours, self.room.history, self.alice.http = ours, ours.services.history, ours.http

    @property
    def asked(self) -> list[Asked]:
        """What the other server was asked for; what it was told is left out."""
        return [item for item in self.server.asked if item.method != "PUT"]

    async def send(self, *pdus: Any, status: int = 200, name: str | None = None, **more: Any) -> Any:
        """Send a transaction; what is answered."""
        self._number += 1
        content = {
            "origin": SERVER,
            "origin_server_ts": 1,
            "pdus": [pdu.pdu if isinstance(pdu, SignedEvent) else pdu for pdu in pdus],
            **more,
        }
        path = f"/_matrix/federation/v1/send/{name or self._number}"
        return await self.server.ask(self.ours, "PUT", path, content, status=status)

    async def message(self, body: str, **options: Any) -> SignedEvent:
        return await self.room.event(BOB, "m.room.message", text(body), **options)

    async def bodies(self) -> list[str]:
        """The messages of the room, oldest first."""
        page = await self.alice.get(f"/rooms/{self.room.room_id}/messages?dir=b&limit=100")
        return [item["content"]["body"] for item in page["chunk"][::-1] if item["type"] == "m.room.message"]

    async def settled(self) -> None:
        """Wait until nothing is tried any more of what could not be judged at once."""
        await self.ours.services.federation.gaps.settled()

    async def waiting(self) -> list[InboundPdu]:
        """What waits in the room."""
        room_id = self.room.room_id
        soon = self.ours.clock.now_ms() + 10**9
        return await self.ours.services.server.db.read(
            lambda tx: inbound_pdus.due(tx, room_id, now_ms=soon, limit=100)
        )

    async def status(self, event: SignedEvent) -> EventStatus | None:
        found = await self.room.history.events.find(event.event_id)
        return None if found is None else found.status


@asynccontextmanager
async def sender_in(folder: Path, **overrides: Any) -> AsyncIterator[Sender]:
    """Run it beside ``hs1.test``, which is made with ``overrides``."""
    town = Town.of(folder, "hs1.test", SERVER)
    async with town.homeserver("hs1.test", **overrides) as ours, server_beside(town, ours) as server:
        yield await sender_to(ours, server)


def server_beside(town: Town, ours: Homeserver) -> AbstractAsyncContextManager[RemoteServer]:
    """The other server alone, whose keys count in the time of ours."""
    return remote_server(town, SERVER, key=KEY, now_ms=ours.clock.now_ms)


async def sender_to(ours: Homeserver, server: RemoteServer) -> Sender:
    """Make a room of Alice's, and have Bob join it."""
    alice = await ours.register("alice")
    room = Remote(ours, await alice.create_room(preset="public_chat"))
    sender = Sender(ours, server, alice, room)
    join = await room.event(BOB, (MEMBER, BOB), {"membership": "join"})
    assert await sender.send(join) == {"pdus": {join.event_id: {}}}
    return sender
