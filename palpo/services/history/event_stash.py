"""Very many events in little memory: as JSON, decoded when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

from palpo.core.canonical_json import decode_canonical, decode_object, to_json, trimmed
from palpo.core.errors import BadJson
from palpo.core.event_hashes import reference_hash
from palpo.core.events import SignedEvent, StateKey, parse_stored
from palpo.core.room_versions import EventIdFormat, RoomVersion
from palpo.streams.turns import Turns

AT_HAND = 512
"""Events that are kept decoded: those that others rest on are asked for again and again."""


class EventStash(Mapping[str, SignedEvent]):
    """Events of one room by ID, in the order in which they were added."""

    def __init__(self, rules: RoomVersion, room_id: str) -> None:
        self._rules = rules
        self._room_id = room_id
        self._json: dict[str, bytes] = {}
        self._auth: dict[str, tuple[str, ...]] = {}
        self._keys: dict[str, StateKey] = {}
        self._names: dict[str, str] = {}
        """Each ID once, however often it is named."""
        self._at_hand = lru_cache(maxsize=AT_HAND)(self._decoded)

    def add(self, event: SignedEvent) -> None:
        """Add an event, unless it is there. Raises BadJson for one of another room, or where another is there
        with its ID.
        """
        if event.room_id != self._room_id:
            raise BadJson(f"{event.event_id} is of another room")
        if event.event_id in self._json:
            check_same(self._rules, self[event.event_id], event)
            return
        name = self._shared(event.event_id)
        self._json[name] = trimmed(to_json(event.pdu))
        self._auth[name] = tuple(map(self._shared, event.auth_events))
        if event.state_key is not None:
            self._keys[name] = self._shared(event.type), event.state_key

    async def empty(self) -> None:
        """Forget all of them: at once, that of very many would keep others waiting."""
        turns = Turns()
        self._at_hand.cache_clear()
        self._names.clear()
        for part in (self._json, self._auth, self._keys):
            while part:
                await turns.breathe()
                part.popitem()

    def auth_events(self, name: str) -> tuple[str, ...]:
        """The events that one rests on."""
        return self._auth[name]

    def key(self, name: str) -> StateKey | None:
        """The state that an event sets; None where it sets none."""
        return self._keys.get(name)

    def __getitem__(self, name: str) -> SignedEvent:
        return self._at_hand(name)

    def __contains__(self, name: object) -> bool:
        return name in self._json

    def __iter__(self) -> Iterator[str]:
        return iter(self._json)

    def __len__(self) -> int:
        return len(self._json)

    def _decoded(self, name: str) -> SignedEvent:
        decode = decode_canonical if self._rules.strict_canonical_json else decode_object
        return parse_stored(self._rules, decode(self._json[name]), name)

    def _shared(self, text: str) -> str:
        return self._names.setdefault(text, text)


def check_same(rules: RoomVersion, one: SignedEvent, other: SignedEvent) -> None:
    """Raises BadJson for different events with one ID; where that is a hash, they are the same."""
    if rules.event_id_format is not EventIdFormat.CHOSEN:
        return
    if one.room_id != other.room_id or reference_hash(rules, one.pdu) != reference_hash(rules, other.pdu):
        raise BadJson(f"{one.event_id} is the ID of another event")
