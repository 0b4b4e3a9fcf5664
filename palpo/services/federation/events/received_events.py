"""Events as they come from other servers: what is wrong with one costs only that one.

Spec: server-server API, "Checks performed on receipt of a PDU", the first three.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from palpo.core import event_hashes
from palpo.core.canonical_json import decode
from palpo.core.errors import BadJson, MatrixError
from palpo.core.events import SignedEvent, parse_with_signed
from palpo.core.identifiers import RoomId, ServerName
from palpo.core.records.events import Check, Refusal
from palpo.core.redaction import redact
from palpo.core.room_versions import RoomVersion
from palpo.core.server_keys import WantedKey, is_key_id
from palpo.core.signed_objects import MAX_SIGNATURES, KeyUnavailable, SignedObject, signed_event
from palpo.core.signing import SignatureError, signature_key_ids
from palpo.services.federation.keys.keyring import Keyring
from palpo.streams.turns import Turns


@dataclass(frozen=True, slots=True)
class Refused:
    """An event that is not taken. KeyUnavailable as ``error``: not now, for want of a key."""

    pdu: Any
    error: MatrixError

    @property
    def refusal(self) -> Refusal:
        """The check that it has not passed."""
        failed = isinstance(self.error, SignatureError)
        return Refusal(Check.SIGNATURES if failed else Check.FORM, self.error.message)


Checked = SignedEvent | Refused
_Parsed = tuple[RoomVersion, Checked, bytes]
"""With what the signatures have to be of."""


AT_ONCE = 1000
"""PDUs that are checked together, of very many."""


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
        parsed = [(rules, *_parsed(rules, pdu, room_id)) async for pdu in Turns().over(pdus)]
        return await self._signed(parsed)

    async def check_here(
        self, rooms: Mapping[RoomId, tuple[RoomVersion, Sequence[Any]]]
    ) -> dict[RoomId, list[Checked]]:
        """The same of several rooms' PDUs at once, but for those rooms for which a key has to be fetched."""
        pdus = [(rules, room_id, pdu) for room_id, (rules, some) in rooms.items() for pdu in some]
        parsed = [(rules, *_parsed(rules, pdu, room_id)) async for rules, room_id, pdu in Turns().over(pdus)]
        checked: dict[RoomId, list[Checked]] = {room_id: [] for room_id in rooms}
        for (_, room_id, _), item in zip(pdus, await self._signed(parsed, fetch=False), strict=True):
            checked[room_id].append(item)
        return {room_id: items for room_id, items in checked.items() if not any(map(_lacks_key, items))}

    async def read(
        self, rules: RoomVersion, texts: list[bytes], *, room_id: str | None = None
    ) -> AsyncIterator[tuple[int, Checked]]:
        """The same of very many PDUs, each in JSON, with the place of each in ``texts``, which is emptied.

        The keys of all of them are looked for together, first.
        """
        if len(texts) > AT_ONCE:
            await self._keyring.find(await _wanted(rules, texts))
        for at in range(0, len(texts), AT_ONCE):
            part = slice(at, at + AT_ONCE)
            pdus = [decoded(text) async for text in Turns().over(texts[part])]
            texts[part] = [b""] * len(pdus)
            for place, item in enumerate(await self.check(rules, pdus, room_id=room_id), at):
                yield place, item

    async def events(
        self, rules: RoomVersion, pdus: Sequence[Any], *, room_id: str | None = None
    ) -> list[SignedEvent]:
        """Those of the PDUs that are events, likewise."""
        checked = await self.check(rules, pdus, room_id=room_id)
        return [item for item in checked if not isinstance(item, Refused)]

    async def _signed(self, parsed: Iterable[_Parsed], *, fetch: bool = True) -> list[Checked]:
        """Those that are signed as they have to be; the others are refused."""
        turns = Turns()
        done: list[Checked] = []
        objects: list[SignedObject] = []
        whose: list[int] = []
        async for rules, item, signed in turns.over(parsed):
            if not isinstance(item, Refused):
                try:
                    own = _signatures(rules, item.pdu, signed)
                    objects += own
                    whose += [len(done)] * len(own)
                except MatrixError as error:
                    item = Refused(item.pdu, error)
            done.append(item)
        for index, wrong in zip(whose, await self._keyring.verify(objects, fetch=fetch), strict=True):
            event = done[index]
            if wrong is not None and not isinstance(event, Refused):
                done[index] = Refused(event.pdu, wrong)
        return done


def decoded(text: bytes) -> Any:
    """The value of JSON; None where it is none."""
    try:
        return decode(text)
    except MatrixError:
        return None


async def _wanted(rules: RoomVersion, texts: Iterable[bytes]) -> list[WantedKey]:
    """The keys that events are said to be signed with, each once, for the latest of those events."""
    latest: dict[tuple[str, str], int] = {}
    async for text in Turns().over(texts):
        pdu = decoded(text)
        for key in _keys(rules, pdu):
            latest[key] = max(pdu["origin_server_ts"], latest.get(key, 0))
    return [
        WantedKey(
            server_name=ServerName(server),
            key_id=key_id,
            valid_until_ts=until_ts if rules.enforce_key_validity else 0,
            for_events=True,
        )
        for (server, key_id), until_ts in latest.items()
    ]


def _keys(rules: RoomVersion, pdu: Any) -> list[tuple[str, str]]:
    """``(server, key)`` of those that a PDU is said to be signed with; none where it is not of the form that
    it has to have."""
    kinds = {"type": str, "sender": str, "content": dict, "origin_server_ts": int}
    if type(pdu) is not dict or any(type(pdu.get(name)) is not kind for name, kind in kinds.items()):
        return []
    try:
        servers = event_hashes.required_signatures(rules, {"event_id": pdu["sender"], **pdu})
    except MatrixError:
        return []
    return [
        (server, key_id)
        for server in servers
        for key_id in islice(filter(is_key_id, signature_key_ids(pdu, server)), MAX_SIGNATURES)
    ]


def _lacks_key(item: Checked) -> bool:
    return isinstance(item, Refused) and isinstance(item.error, KeyUnavailable)


def _parsed(rules: RoomVersion, pdu: Any, room_id: str | None) -> tuple[Checked, bytes]:
    try:
        if type(pdu) is not dict:
            raise BadJson("An event is a JSON object")
        pdu = {key: value for key, value in pdu.items() if key != "unsigned"}
        event, signed = parse_with_signed(rules, pdu, room_id=room_id)
        if not event_hashes.verify_content_hash(pdu, encode=event_hashes.encoder_again(rules)):
            event, signed = parse_with_signed(rules, redact(rules, pdu), room_id=room_id)
    except MatrixError as error:
        return Refused(pdu, error), b""
    return event, signed


def _signatures(rules: RoomVersion, pdu: dict[str, Any], signed: bytes) -> list[SignedObject]:
    """What has to be checked of an event; raises SignatureError where a server has not signed it at all."""
    servers = event_hashes.required_signatures(rules, pdu)
    return [signed_event(rules, pdu, ServerName(server), signed=signed) for server in servers]
