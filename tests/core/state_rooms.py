"""Small rooms with forks, for tests of state resolution and auth chains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from palpo.core.auth_rules import auth_types_for, check_auth
from palpo.core.errors import AuthError
from palpo.core.events import SignedEvent, StateKey
from palpo.core.room_versions import RoomVersion, room_version

ALICE, BOB, CHARLIE, EVE = (f"@{name}:example.org" for name in ("alice", "bob", "charlie", "eve"))
CREATE = ("m.room.create", "")
JOIN_RULES = ("m.room.join_rules", "")
POWER = ("m.room.power_levels", "")
TOPIC = ("m.room.topic", "")


def member(user: str) -> StateKey:
    return "m.room.member", user


class Fork:
    """The state at one tip of a room's graph. Events go to ``room.events``; time stands in ``ts``."""

    def __init__(self, room: Room, state: Mapping[StateKey, str], depth: int) -> None:
        self.room = room
        self.state = dict(state)
        self.depth = depth

    def fork(self) -> Fork:
        return Fork(self.room, self.state, self.depth)

    def events(self, keys: list[StateKey]) -> dict[StateKey, SignedEvent]:
        return {key: self.room.events[self.state[key]] for key in keys if key in self.state}

    def send(
        self,
        event_id: str,
        sender: str,
        key: StateKey,
        content: dict[str, Any],
        *,
        ts: int | None = None,
        auth: list[str] | None = None,
        check: bool = True,
    ) -> SignedEvent:
        """A state event on this fork. ``auth`` overrides its auth events; ``check`` applies the rules."""
        room = self.room
        keys = auth_types_for(room.rules, type=key[0], sender=sender, state_key=key[1], content=content)
        cited = [event.event_id for event in self.events(keys).values()]
        room.clock += 1
        self.depth += 1
        event = SignedEvent(
            event_id=event_id,
            room_id=room.room_id,
            type=key[0],
            sender=sender,
            state_key=key[1],
            content=content,
            depth=self.depth,
            origin_server_ts=room.clock if ts is None else ts,
            prev_events=("$create",) if self.depth == 2 else ("$earlier",) if self.depth > 2 else (),
            auth_events=tuple(cited if auth is None else auth),
            pdu={},
        )
        if check:
            check_auth(room.rules, event, self.events([CREATE, *keys]))
        room.events[event_id] = event
        self.state[key] = event_id
        return event

    def try_send(self, event_id: str, sender: str, key: StateKey, content: dict[str, Any], ts: int) -> bool:
        """Send if the rules allow it; whether they do."""
        try:
            self.send(event_id, sender, key, content, ts=ts)
        except AuthError:
            return False
        return True

    def join(self, user: str, event_id: str | None = None) -> SignedEvent:
        return self.send(event_id or f"$join-{user}", user, member(user), {"membership": "join"})

    def power(self, event_id: str, sender: str, users: dict[str, int], **more: Any) -> SignedEvent:
        """Power levels; the creator has 100 one way or the other."""
        return self.send(event_id, sender, POWER, {"users": self.room.users(users)}, **more)

    def topic(self, event_id: str, sender: str, **more: Any) -> SignedEvent:
        return self.send(event_id, sender, TOPIC, {"topic": event_id}, **more)

    def join_rule(self, event_id: str, sender: str, rule: str, **more: Any) -> SignedEvent:
        return self.send(event_id, sender, JOIN_RULES, {"join_rule": rule}, **more)

    def ban(self, event_id: str, sender: str, target: str, **more: Any) -> SignedEvent:
        return self.send(event_id, sender, member(target), {"membership": "ban"}, **more)


class Room:
    """A room that Alice has created and joined, with Bob at level 50, Charlie in it, and open doors."""

    def __init__(self, version: str) -> None:
        self.rules: RoomVersion = room_version(version)
        self.room_id = "!create" if self.rules.create_event_is_room_id else "!room:example.org"
        self.events: dict[str, SignedEvent] = {}
        self.clock = 0

    def users(self, users: dict[str, int]) -> dict[str, int]:
        """``users`` for power levels in which Alice, the creator, has at least 100."""
        return users if self.rules.privileged_creators else {ALICE: 100, **users}

    def start(self) -> Fork:
        """A fork with the room's beginning."""
        main = Fork(self, {}, 0)
        main.send("$create", ALICE, CREATE, {"creator": ALICE, "room_version": self.rules.id})
        main.join(ALICE)
        main.power("$power", ALICE, {BOB: 50})
        main.join_rule("$public", ALICE, "public")
        main.join(BOB)
        main.join(CHARLIE)
        return main
