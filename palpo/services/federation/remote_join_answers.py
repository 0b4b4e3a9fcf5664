"""What servers answer to ``send_join``: the room as it was before the join, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from palpo.core.auth_rules import authorising_server
from palpo.core.events import SignedEvent
from palpo.core.identifiers import ServerName, server_name_of
from palpo.core.state_keys import CREATE
from palpo.net.federation_answer import FederationAnswer
from palpo.services.federation.received_events import ReceivedEvents, Refused
from palpo.services.federation.remote_answers import Malformed, read
from palpo.services.federation.signatures import with_signatures
from palpo.services.federation.templates import Prepared


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedRoom:
    """A room that a user of this server has joined. Of the events what can be checked of each has been."""

    event: SignedEvent
    """The join, with all the signatures that it has to have."""
    state: Sequence[SignedEvent]
    """The state before it."""
    auth_chain: Sequence[SignedEvent]


class Answer(msgspec.Struct, frozen=True):
    """The JSON."""

    state: list[Any]
    auth_chain: list[Any]
    event: dict[str, Any] | None = None
    """The join with the server's own signature, where it has to have that."""
    members_omitted: bool = False


class RemoteJoinAnswers:
    """Reads them."""

    def __init__(self, received: ReceivedEvents) -> None:
        self._received = received

    async def read(self, prepared: Prepared, version: int, answer: FederationAnswer) -> JoinedRoom:
        """The room; raises Malformed, FederationError, and why the join is not signed as it has to be."""
        decoded = await read(answer, Answer)
        if decoded.members_omitted:
            raise Malformed("The server leaves members out unasked")
        event = await self._signed(prepared, decoded.event)
        room_id = event.room_id
        state = await self._received.events(prepared.rules, decoded.state, room_id=room_id)
        auth_chain = await self._received.events(prepared.rules, decoded.auth_chain, room_id=room_id)
        # Some servers tell the state after the join.
        before = [item for item in state if item.event_id != event.event_id]
        _check_version(prepared, before)
        return JoinedRoom(event=event, state=before, auth_chain=auth_chain)

    async def _signed(self, prepared: Prepared, returned: dict[str, Any] | None) -> SignedEvent:
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


def _check_version(prepared: Prepared, state: Sequence[SignedEvent]) -> None:
    """The room is of the version that the template was of."""
    create = next((event for event in state if event.key == CREATE), None)
    if create is None:
        raise Malformed("The state has no create event")
    if create.content.get("room_version", "1") != prepared.rules.id:
        raise Malformed("The room is of another version than the server said before")
