"""Events and states of a Synapse's rooms, as ours."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import partial

from palpo.core.canonical_json import decode_canonical
from palpo.core.errors import MatrixError
from palpo.core.event_hashes import encoder_again, verify_content_hash
from palpo.core.events import SignedEvent, StateKey, parse_stored
from palpo.core.redaction import redact
from palpo.core.room_versions import RoomVersion, room_version
from palpo.db.engine import Database
from palpo.storage.synapse import events as storage
from palpo.storage.synapse.events import TheirEvent

AT_ONCE = 500


class TheirRooms:
    """Reads them."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._rules: dict[str, RoomVersion] = {}

    async def rules(self, room_ids: Collection[str]) -> dict[str, RoomVersion]:
        """The rules of rooms; those of a version that is not known are left out."""
        unknown = {room_id for room_id in room_ids if room_id not in self._rules}
        if unknown:
            versions = await self._db.read(partial(storage.versions, room_ids=unknown))
            for room_id, version in versions.items():
                try:
                    self._rules[room_id] = room_version(version)
                except MatrixError:
                    continue
        return {room_id: self._rules[room_id] for room_id in room_ids if room_id in self._rules}

    async def get(self, rules: RoomVersion, ids: Iterable[str]) -> dict[str, SignedEvent]:
        """Those of the events that are there, outliers too."""
        wanted = list(ids)
        found: dict[str, SignedEvent] = {}
        for at in range(0, len(wanted), AT_ONCE):
            some = await self._db.read(partial(storage.get, ids=wanted[at : at + AT_ONCE]))
            found |= {name: signed(rules, item) for name, item in some.items()}
        return found

    async def auth_chain(self, rules: RoomVersion, ids: Iterable[str]) -> dict[str, SignedEvent]:
        """The events and all that they rest on, as far as it is there."""
        found: dict[str, SignedEvent] = {}
        waiting = set(ids)
        while waiting:
            new = await self.get(rules, waiting)
            found |= new
            waiting = {name for event in new.values() for name in event.auth_events} - found.keys()
        return found

    async def state_before(self, rules: RoomVersion, event: SignedEvent) -> dict[StateKey, str] | None:
        """The state before an event: key → event; None where it is not known."""
        found = await self._db.read(partial(storage.state_around, event_id=event.event_id))
        if found is None:
            return None
        whole, older = found
        if event.state_key is None or whole.get(event.key) != event.event_id:
            return whole
        if older is not None:
            return older
        before = {key: name for key, name in whole.items() if key != event.key}
        replaced = await self._replaced(rules, event)
        return before if replaced is None else before | {event.key: replaced}

    async def _replaced(self, rules: RoomVersion, event: SignedEvent) -> str | None:
        """What was set where ``event`` is: Synapse notes it, and a member's auth events have it."""
        theirs = (await self._db.read(partial(storage.get, ids=[event.event_id]))).get(event.event_id)
        noted = (theirs.pdu().get("unsigned") or {}).get("replaces_state") if theirs is not None else None
        if isinstance(noted, str) and noted != event.event_id:
            return noted
        auth = await self.get(rules, event.auth_events)
        return next((name for name, item in auth.items() if item.is_state and item.key == event.key), None)


def signed(rules: RoomVersion, item: TheirEvent) -> SignedEvent:
    """An event that Synapse has checked before: the redacted one where its content has been taken out."""
    pdu = decode_canonical(item.json) if rules.strict_canonical_json else item.pdu()
    pdu.pop("unsigned", None)
    if not verify_content_hash(pdu, encode=encoder_again(rules)):
        pdu = redact(rules, pdu)
    return parse_stored(rules, pdu, item.event_id)
