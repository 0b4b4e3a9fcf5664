"""What servers answer to ``send_join``: the room as it was before the join, checked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from palpo.core.auth_rules import authorising_server
from palpo.core.errors import BadJson, NotJson
from palpo.core.events import SignedEvent
from palpo.core.identifiers import ServerName, is_server_name, server_name_of
from palpo.core.json_pieces import JsonPieces
from palpo.core.state_keys import CREATE
from palpo.net.federation_answer import FederationAnswer
from palpo.services.federation.events.received_events import ReceivedEvents, Refused, decoded
from palpo.services.federation.events.templates import Prepared
from palpo.services.federation.keys.signatures import with_signatures
from palpo.services.federation.servers.remote_answers import Malformed
from palpo.services.history.event_stash import EventStash
from palpo.streams.large_answers import joins_of_large_rooms
from palpo.streams.turns import Turns

MAX_EVENTS = 1_000_000
MAX_SERVERS = 20_000
LARGE = 16 * 1024 * 1024
"""Bytes of an answer above which few are read at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedRoom:
    """A room that a user of this server has joined. Of the events what can be checked of each has been."""

    event: SignedEvent
    """The join, with all the signatures that it has to have."""
    state: Sequence[str]
    """The state before it, by the events' IDs."""
    events: EventStash
    """These, and what they rest on."""
    servers: tuple[ServerName, ...] | None
    """Where members are left out of the state: the servers in the room."""


@dataclass(slots=True, kw_only=True)
class _Told:
    """The answer, with its events as JSON: each once, though it may be in the state and in the auth chain."""

    events: list[bytes] = field(default_factory=list)
    places: dict[bytes, int] = field(default_factory=dict)
    """Where each is, by a hash."""
    state: list[int] = field(default_factory=list)
    """The places of those that are the state."""
    count: int = 0
    event: Any = None
    """The join with the server's own signature, where it has to have that."""
    members_omitted: Any = False
    servers: list[ServerName] = field(default_factory=list)
    """Those in the room, where they are told."""

    def add(self, name: str, value: bytes) -> None:
        """Add a member of the answer, or an item of it; raises Malformed for too many."""
        if name in ("state", "auth_chain"):
            self.count += 1
            if self.count > MAX_EVENTS:
                raise Malformed(f"The room has more than {MAX_EVENTS} events of state, and below it")
            digest = blake2b(value, digest_size=16).digest()
            place = self.places.setdefault(digest, len(self.events))
            if place == len(self.events):
                self.events.append(value)
            if name == "state":
                self.state.append(place)
        elif name == "event":
            self.event = decoded(value)
        elif name == "servers_in_room" and is_server_name(server := decoded(value)):
            if len(self.servers) < MAX_SERVERS:
                self.servers.append(ServerName(server))
        elif name == "members_omitted":
            self.members_omitted = decoded(value)


class RemoteJoinAnswers:
    """Reads them."""

    def __init__(self, received: ReceivedEvents) -> None:
        self._received = received
        self._turns = joins_of_large_rooms()

    async def read(
        self,
        prepared: Prepared,
        stack: AsyncExitStack,
        version: int,
        answer: FederationAnswer,
        *,
        asked: bool = False,
    ) -> JoinedRoom:
        """The room, without most members where that was ``asked`` for, and the server does it.

        A large one waits for its turn, and has it until the ``stack`` is left. Raises Malformed,
        FederationError, LimitExceeded, and why the join is not signed as it has to be.
        """
        told = await self._told(answer, stack)
        omitted = told.members_omitted
        if omitted not in (False, None) and not (asked and omitted is True):
            raise Malformed("The server leaves members out unasked")
        event = await self._signed(prepared, told.event)
        given = EventStash(prepared.rules, event.room_id)
        # Some servers tell the state after the join.
        state = [name async for name in self._state(prepared, told, given) if name != event.event_id]
        _check_version(prepared, state, given)
        servers = tuple(dict.fromkeys(told.servers)) if omitted is True else None
        return JoinedRoom(event=event, state=state, events=given, servers=servers)

    async def _state(self, prepared: Prepared, told: _Told, given: EventStash) -> AsyncIterator[str]:
        """The IDs of the events of the state; they, and those of the auth chain, are ``given``."""
        rules, room_id = prepared.rules, prepared.event.room_id
        state, turns = set(told.state), Turns()
        async for place, item in self._received.read(rules, told.events, room_id=room_id):
            await turns.breathe()
            if not isinstance(item, Refused):
                _add(given, item)
                if place in state:
                    yield item.event_id

    async def _told(self, answer: FederationAnswer, stack: AsyncExitStack) -> _Told:
        told, pieces, turns, size = _Told(), JsonPieces(), Turns(), 0
        try:
            async for chunk in answer.chunks():
                if size <= LARGE < size + len(chunk):
                    await stack.enter_async_context(self._turns.turn())
                size += len(chunk)
                for name, value in pieces.feed(chunk):
                    told.add(name, value)
                    await turns.breathe()
            pieces.finish()
        except NotJson as error:
            raise Malformed(f"The answer cannot be read: {error.message}") from error
        return told

    async def _signed(self, prepared: Prepared, returned: Any) -> SignedEvent:
        """The join; where somebody of another server vouches for it, with that server's signature."""
        rules, event = prepared.rules, prepared.event
        server = authorising_server(rules, event)
        if server is None or server == server_name_of(event.sender):
            return event
        signed = with_signatures(rules, event, returned, ServerName(server))
        (checked,) = await self._received.check(rules, [signed.pdu], room_id=event.room_id)
        if isinstance(checked, Refused):
            raise checked.error
        return checked


def _add(given: EventStash, event: SignedEvent) -> None:
    try:
        given.add(event)
    except BadJson as error:
        raise Malformed(f"The room cannot be what the server says: {error.message}") from error


def _check_version(prepared: Prepared, state: Iterable[str], given: EventStash) -> None:
    """The room is of the version that the template was of."""
    create = next((given[name] for name in state if given.key(name) == CREATE), None)
    if create is None:
        raise Malformed("The state has no create event")
    if create.content.get("room_version", "1") != prepared.rules.id:
        raise Malformed("The room is of another version than the server said before")
