"""Events, and which of them a state has, asked of other servers. Of each event what can be checked of it is.

All raise FederationError where a server gives no answer of use.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from palpo.core.errors import NotJson
from palpo.core.events import SignedEvent
from palpo.core.identifiers import ServerName
from palpo.core.json_pieces import JsonPieces
from palpo.core.room_versions import RoomVersion
from palpo.net.connections import Times
from palpo.net.federation_client import FederationClient
from palpo.net.federation_errors import BadAnswer, ServerError
from palpo.services.federation.events.received_events import ReceivedEvents, Refused, decoded
from palpo.streams.turns import Turns

MIB = 1024 * 1024
EVENT_BYTES = 128 * 1024
"""Of an answer with one event."""
HISTORY_BYTES = 8 * MIB
IDS_BYTES = 16 * MIB
STATE_BYTES = 256 * MIB
V1 = "/_matrix/federation/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A room that a server is asked about."""

    room_id: str
    rules: RoomVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class StateIds:
    """The state before an event."""

    state: Sequence[str]
    auth_chain: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldState:
    """The same with the events: each in JSON, of which nothing has been checked."""

    state: list[bytes]
    auth_chain: list[bytes]


class RemoteEvents:
    """Asks for them."""

    def __init__(self, client: FederationClient, received: ReceivedEvents) -> None:
        self._client = client
        self._received = received

    async def before(
        self, server: ServerName, room: Room, latest: Iterable[str], *, earliest: Iterable[str], limit: int
    ) -> tuple[list[SignedEvent], int]:
        """Events before ``latest``, down to ``earliest``; and how many the server has sent.

        By /get_missing_events, or of servers that do not have it by /backfill.
        """
        wanted = list(latest)
        try:
            sent = await self._missing(server, room, wanted, list(earliest), limit)
        except ServerError as error:
            if not is_unknown(error):
                raise
            sent = await self._backfill(server, room, wanted, limit)
        return await self.checked(room, sent[: limit + len(wanted)]), len(sent)

    async def event(self, server: ServerName, room: Room, event_id: str) -> SignedEvent | None:
        """One event; None where what is answered is another one, or not signed as it has to be."""
        path = f"{V1}/event/{_quoted(event_id)}"
        answer = await self._client.json(server, "GET", path, limit=EVENT_BYTES)
        found = await self.checked(room, _list(server, answer, "pdus")[:1])
        return next((event for event in found if event.event_id == event_id), None)

    async def auth_chain(self, server: ServerName, room: Room, event_id: str) -> list[bytes]:
        """What an event rests on: each in JSON, unchecked."""
        path = f"{V1}/event_auth/{_quoted(room.room_id)}/{_quoted(event_id)}"
        return (await self._arrays(server, path, limit=STATE_BYTES))["auth_chain"]

    async def state_ids(
        self, server: ServerName, room: Room, event_id: str, times: Times | None = None
    ) -> StateIds:
        """The state before an event; of servers that do not know it there is ``state``."""
        path = f"{V1}/state_ids/{_quoted(room.room_id)}"
        told = await self._arrays(server, path, ("event_id", event_id), limit=IDS_BYTES, times=times)
        return StateIds(state=await _names(told["pdu_ids"]), auth_chain=await _names(told["auth_chain_ids"]))

    async def state(
        self, server: ServerName, room: Room, event_id: str, times: Times | None = None
    ) -> ToldState:
        """The same with the events."""
        path = f"{V1}/state/{_quoted(room.room_id)}"
        told = await self._arrays(server, path, ("event_id", event_id), limit=STATE_BYTES, times=times)
        return ToldState(state=told["pdus"], auth_chain=told["auth_chain"])

    async def checked(self, room: Room, pdus: Sequence[Any]) -> list[SignedEvent]:
        """Those that are events of the room, signed as they have to be."""
        return await self._received.events(room.rules, pdus, room_id=room.room_id)

    async def read(self, room: Room, texts: list[bytes]) -> AsyncIterator[SignedEvent]:
        """The same of very many, each in JSON; ``texts`` is emptied."""
        async for _, item in self._received.read(room.rules, texts, room_id=room.room_id):
            if not isinstance(item, Refused):
                yield item

    async def _arrays(
        self,
        server: ServerName,
        path: str,
        *query: tuple[str, str],
        limit: int,
        times: Times | None = None,
    ) -> Mapping[str, list[bytes]]:
        """The items of the arrays in a large answer, by their names: each in JSON."""
        found: defaultdict[str, list[bytes]] = defaultdict(list)
        pieces, turns = JsonPieces(), Turns()
        async with self._client.request(server, "GET", path, query=query, limit=limit, times=times) as answer:
            try:
                async for chunk in answer.chunks():
                    for name, value in pieces.feed(chunk):
                        found[name].append(value)
                        await turns.breathe()
                pieces.finish()
            except NotJson as error:
                raise BadAnswer(server, error.message[:200]) from error
        return found

    async def _missing(
        self, server: ServerName, room: Room, latest: Sequence[str], earliest: Sequence[str], limit: int
    ) -> list[Any]:
        path = f"{V1}/get_missing_events/{_quoted(room.room_id)}"
        content = {"earliest_events": earliest, "latest_events": latest, "limit": limit}
        answer = await self._client.json(server, "POST", path, content=content, limit=HISTORY_BYTES)
        # Without the member it has none: so some answer.
        return _list(server, answer, "events") if "events" in answer else []

    async def _backfill(self, server: ServerName, room: Room, latest: Sequence[str], limit: int) -> list[Any]:
        path = f"{V1}/backfill/{_quoted(room.room_id)}"
        # The events that are named are in the answer too.
        query = [*(("v", name) for name in latest), ("limit", str(limit + len(latest)))]
        answer = await self._client.json(server, "GET", path, query=query, limit=HISTORY_BYTES)
        return _list(server, answer, "pdus")


def is_unknown(error: ServerError) -> bool:
    """Whether the server does not know the endpoint, rather than what it was asked for."""
    return error.status in (404, 405, 501) and error.errcode in ("M_UNRECOGNIZED", "")


def _quoted(text: str) -> str:
    return quote(text, safe="")


def _list(server: str, answer: Mapping[str, Any], name: str) -> list[Any]:
    found = answer.get(name)
    if not isinstance(found, list):
        raise BadAnswer(server, f"{name} is no array")
    return found


async def _names(texts: Sequence[bytes]) -> list[str]:
    """Those that are text, each once."""
    names: dict[str, None] = {}
    async for text in Turns().over(texts):
        if isinstance(name := decoded(text), str):
            names[name] = None
    return list(names)
