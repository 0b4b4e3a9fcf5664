"""What a room shows of itself to those who are not in it: in the directory, in spaces, in summaries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from palpo.core import state_tree
from palpo.core.events import Event, StateKey
from palpo.core.identifiers import RoomId
from palpo.core.room_versions import RoomVersion, room_version
from palpo.core.state_keys import (
    AVATAR,
    CANONICAL_ALIAS,
    CREATE,
    ENCRYPTION,
    GUEST_ACCESS,
    HISTORY_VISIBILITY,
    JOIN_RULES,
    NAME,
    TOPIC,
)
from palpo.core.visibility import visibility_of
from palpo.db.engine import Database
from palpo.services.history.event_store import EventStore
from palpo.services.rooms.restricted_joins import allowed_rooms
from palpo.storage import room_directory as storage
from palpo.streams import topics
from palpo.streams.caches import Cache, CacheBudget
from palpo.streams.wakeups import Wakeups

SHOWN = (
    CREATE,
    NAME,
    TOPIC,
    AVATAR,
    CANONICAL_ALIAS,
    JOIN_RULES,
    GUEST_ACCESS,
    ENCRYPTION,
    HISTORY_VISIBILITY,
)
AT_ONCE = 500
"""Rooms that are looked into together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """A room at a glance."""

    room_id: RoomId
    joined: int
    """How many users are in it."""
    name: str | None
    topic: str | None
    """The plain text topic."""
    avatar_url: str | None
    canonical_alias: str | None
    join_rule: str
    room_type: str | None
    room_version: str | None
    """None where another server does not say."""
    encryption: str | None
    """The algorithm that messages are encrypted with."""
    world_readable: bool
    guest_can_join: bool
    knockable: bool
    allowed_room_ids: tuple[str, ...] | None
    """The rooms whose members may join; None where the join rule is not a restricted one."""


class Overviews:
    """Makes overviews, and keeps them as long as the room's state is the same and nothing is redacted."""

    def __init__(self, db: Database, events: EventStore, wakeups: Wakeups, caches: CacheBudget) -> None:
        self._db = db
        self._events = events
        self._cache: Cache[str, tuple[bytes, Overview]] = caches.cache("room_overviews")
        # A redaction changes what a state says, but not the state.
        wakeups.listen(topics.REDACTED, self._cache.forget)

    async def get(self, room_id: RoomId, root: bytes) -> Overview:
        """The overview of a room in the state ``root``, which is its current one."""
        return (await self.get_many({room_id: root}))[room_id]

    async def get_many(self, roots: Mapping[str, bytes]) -> dict[str, Overview]:
        """The overviews of rooms whose current states have these roots."""
        found: dict[str, Overview] = {}
        missing: list[str] = []
        for room_id, root in roots.items():
            kept = self._cache.touch(room_id)
            if kept is not None and kept[0] == root:
                found[room_id] = kept[1]
            else:
                missing.append(room_id)
        rest = iter(missing)
        while batch := {room_id: roots[room_id] for room_id in islice(rest, AT_ONCE)}:
            found |= await self._make(batch)
        return found

    async def _make(self, roots: Mapping[str, bytes]) -> dict[str, Overview]:
        with self._cache.reading() as reading:
            found = await self._read(roots)
            reading.keep({room_id: (roots[room_id], overview) for room_id, overview in found.items()})
        return found

    async def _read(self, roots: Mapping[str, bytes]) -> dict[str, Overview]:
        counts = await self._db.read(lambda tx: storage.joined_counts(tx, roots))
        states = await self._events.read_states([state_tree.get_many(root, SHOWN) for root in roots.values()])
        events = await self._events.get_many([name for ids in states for name in ids.values()])
        found: dict[str, Overview] = {}
        for room_id, ids in zip(roots, states, strict=True):
            state = {key: events[name].event for key, name in ids.items() if name in events}
            found[room_id] = overview_of(RoomId(room_id), state, counts.get(room_id, 0))
        return found


def overview_of(room_id: RoomId, state: Mapping[StateKey, Event], joined: int) -> Overview:
    """What the events of ``SHOWN`` that a room has say about it."""
    join_rule = _text(state, JOIN_RULES, "join_rule") or "invite"
    version = _text(state, CREATE, "room_version") or "1"
    rules = room_version(version)
    allowed = allowed_rooms(rules, state.get(JOIN_RULES))
    return Overview(
        room_id=room_id,
        joined=joined,
        name=_text(state, NAME, "name"),
        topic=plain_topic(state.get(TOPIC)),
        avatar_url=_text(state, AVATAR, "url"),
        canonical_alias=_text(state, CANONICAL_ALIAS, "alias"),
        join_rule=join_rule,
        room_type=_text(state, CREATE, "type"),
        room_version=version,
        encryption=_text(state, ENCRYPTION, "algorithm"),
        world_readable=visibility_of(state.get(HISTORY_VISIBILITY)) == "world_readable",
        guest_can_join=_text(state, GUEST_ACCESS, "guest_access") == "can_join",
        knockable=_is_knockable(rules, join_rule),
        allowed_room_ids=None if allowed is None else tuple(allowed),
    )


def _is_knockable(rules: RoomVersion, join_rule: str) -> bool:
    if join_rule == "knock_restricted":
        return rules.knock_restricted_joins
    return join_rule == "knock" and rules.knocking


def plain_topic(event: Event | None) -> str | None:
    """The plain text of a topic: its ``text/plain`` representation, else the ``topic`` key."""
    if event is None:
        return None
    rich = event.content.get("m.topic")
    texts = rich.get("m.text") if isinstance(rich, dict) else None
    for item in texts if isinstance(texts, list) else ():
        if isinstance(item, dict) and item.get("mimetype", "text/plain") == "text/plain":
            body = item.get("body")
            if isinstance(body, str):
                return body
    topic = event.content.get("topic")
    return topic if isinstance(topic, str) and topic else None


def _text(state: Mapping[StateKey, Event], key: StateKey, name: str) -> str | None:
    event = state.get(key)
    value = None if event is None else event.content.get(name)
    return value if isinstance(value, str) and value else None
