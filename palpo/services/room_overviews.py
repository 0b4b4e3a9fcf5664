"""What a room shows of itself to those who are not in it: in the directory, in spaces, in summaries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from palpo.core.events import Event, StateKey
from palpo.core.visibility import HISTORY_VISIBILITY, visibility_of
from palpo.db.engine import Database
from palpo.services.event_store import Bounded, EventStore
from palpo.storage import room_directory as storage

CREATE: StateKey = ("m.room.create", "")
NAME: StateKey = ("m.room.name", "")
TOPIC: StateKey = ("m.room.topic", "")
AVATAR: StateKey = ("m.room.avatar", "")
ALIAS: StateKey = ("m.room.canonical_alias", "")
JOIN_RULES: StateKey = ("m.room.join_rules", "")
GUEST_ACCESS: StateKey = ("m.room.guest_access", "")
ENCRYPTION: StateKey = ("m.room.encryption", "")
SHOWN = (
    CREATE,
    NAME,
    TOPIC,
    AVATAR,
    ALIAS,
    JOIN_RULES,
    GUEST_ACCESS,
    ENCRYPTION,
    HISTORY_VISIBILITY,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """A room at a glance."""

    room_id: str
    joined: int
    """How many users are in it."""
    name: str | None
    topic: str | None
    """The plain text topic."""
    avatar_url: str | None
    canonical_alias: str | None
    join_rule: str
    room_type: str | None
    room_version: str
    encryption: str | None
    """The algorithm that messages are encrypted with."""
    world_readable: bool
    guest_can_join: bool
    allowed_room_ids: tuple[str, ...]
    """The rooms whose members may join, by a restricted join rule."""


class Overviews:
    """Makes overviews, and keeps them by the state that they show: that never changes."""

    def __init__(self, db: Database, events: EventStore, *, cached: int = 20_000) -> None:
        self._db = db
        self._events = events
        self._cache: Bounded[bytes, Overview] = Bounded(cached)

    async def get(self, room_id: str, root: bytes) -> Overview:
        """The overview of a room in the state ``root``, which is its current one."""
        return (await self.get_many({room_id: root}))[room_id]

    async def get_many(self, roots: Mapping[str, bytes]) -> dict[str, Overview]:
        """The overviews of rooms whose current states have these roots."""
        found = {room_id: self._cache.touch(root) for room_id, root in roots.items()}
        missing = [room_id for room_id, overview in found.items() if overview is None]
        counts = await self._db.read(lambda tx: storage.joined_counts(tx, missing)) if missing else {}
        for room_id in missing:
            state = await self._events.state_events(roots[room_id], SHOWN)
            events = {key: item.event for key, item in state.items()}
            overview = overview_of(room_id, events, counts.get(room_id, 0))
            self._cache.keep({roots[room_id]: overview})
            found[room_id] = overview
        return {room_id: overview for room_id, overview in found.items() if overview is not None}


def overview_of(room_id: str, state: Mapping[StateKey, Event], joined: int) -> Overview:
    """What the events of ``SHOWN`` that a room has say about it."""
    join_rules = state.get(JOIN_RULES)
    allow = join_rules.content.get("allow") if join_rules is not None else None
    return Overview(
        room_id=room_id,
        joined=joined,
        name=_text(state, NAME, "name"),
        topic=plain_topic(state.get(TOPIC)),
        avatar_url=_text(state, AVATAR, "url"),
        canonical_alias=_text(state, ALIAS, "alias"),
        join_rule=_text(state, JOIN_RULES, "join_rule") or "invite",
        room_type=_text(state, CREATE, "type"),
        room_version=_text(state, CREATE, "room_version") or "1",
        encryption=_text(state, ENCRYPTION, "algorithm"),
        world_readable=visibility_of(state.get(HISTORY_VISIBILITY)) == "world_readable",
        guest_can_join=_text(state, GUEST_ACCESS, "guest_access") == "can_join",
        allowed_room_ids=_allowed(allow),
    )


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


def _allowed(allow: Any) -> tuple[str, ...]:
    items = allow if isinstance(allow, list) else ()
    rooms = (item.get("room_id") for item in items if isinstance(item, dict))
    return tuple(room_id for room_id in rooms if isinstance(room_id, str))
