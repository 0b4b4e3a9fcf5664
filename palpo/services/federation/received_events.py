"""Events as they come from other servers: what is wrong with one costs only that one.

Spec: server-server API, "Checks performed on receipt of a PDU", the first three.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from palpo.core import event_hashes
from palpo.core.errors import BadJson, MatrixError
from palpo.core.events import SignedEvent, parse_pdu
from palpo.core.identifiers import ServerName
from palpo.core.redaction import redact
from palpo.core.room_versions import RoomVersion
from palpo.core.signed_objects import SignedObject, signed_event
from palpo.services.federation.keyring import Keyring
from palpo.streams.turns import Turns


@dataclass(frozen=True, slots=True)
class Refused:
    """An event that is not taken. KeyUnavailable as ``error``: not now, for want of a key."""

    pdu: Any
    error: MatrixError


Checked = SignedEvent | Refused


class ReceivedEvents:
    """Checks formats, signatures and hashes."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    async def check(
        self, rules: RoomVersion, pdus: Sequence[Any], *, room_id: str | None = None
    ) -> list[Checked]:
        """For each PDU the event, or why it is none; of another room than ``room_id`` it is none.

        Where the content hash does not match, the event is the redacted one. ``unsigned`` is dropped: it is
        nobody's word.
        """
        turns = Turns()
        parsed = [_parsed(rules, pdu, room_id) async for pdu in turns.over(pdus)]
        return await self._signed(rules, parsed)

    async def events(
        self, rules: RoomVersion, pdus: Sequence[Any], *, room_id: str | None = None
    ) -> list[SignedEvent]:
        """Those of the PDUs that are events, likewise."""
        checked = await self.check(rules, pdus, room_id=room_id)
        return [item for item in checked if not isinstance(item, Refused)]

    async def _signed(self, rules: RoomVersion, parsed: Iterable[Checked]) -> list[Checked]:
        """The same, with those refused that are not signed as they have to be."""
        turns = Turns()
        done: list[Checked] = []
        objects: list[SignedObject] = []
        whose: list[int] = []
        async for item in turns.over(parsed):
            if not isinstance(item, Refused):
                try:
                    own = _signatures(rules, item.pdu)
                    objects += own
                    whose += [len(done)] * len(own)
                except MatrixError as error:
                    item = Refused(item.pdu, error)
            done.append(item)
        for index, wrong in zip(whose, await self._keyring.verify(objects), strict=True):
            event = done[index]
            if wrong is not None and not isinstance(event, Refused):
                done[index] = Refused(event.pdu, wrong)
        return done


def _parsed(rules: RoomVersion, pdu: Any, room_id: str | None) -> Checked:
    try:
        if type(pdu) is not dict:
            raise BadJson("An event is a JSON object")
        pdu = {key: value for key, value in pdu.items() if key != "unsigned"}
        event = parse_pdu(rules, pdu, room_id=room_id)
        if not event_hashes.verify_content_hash(pdu):
            event = parse_pdu(rules, redact(rules, pdu), room_id=room_id)
    except MatrixError as error:
        return Refused(pdu, error)
    return event


def _signatures(rules: RoomVersion, pdu: dict[str, Any]) -> list[SignedObject]:
    """What has to be checked of an event; raises SignatureError where a server has not signed it at all."""
    servers = event_hashes.required_signatures(rules, pdu)
    return [signed_event(rules, pdu, ServerName(server)) for server in servers]
