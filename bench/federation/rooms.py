"""Rooms of servers that are neither, of which the servers that are measured know what they are told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import orjson

from palpo.core.auth_rules import auth_types_for
from palpo.core.events import SignedEvent, StateKey, build_event
from palpo.core.room_versions import room_version
from palpo.core.signing import SigningKey
from palpo.core.state_keys import CREATE, JOIN_RULES, MEMBER, POWER_LEVELS

KEY = SigningKey(key_id="ed25519:1", seed=b"a benchmark's".ljust(32))
"""Of all of these servers."""
TIME = 1_700_000_000_000


class Room:
    """A public room; ``state`` is what its next event comes after, and ``last`` that event's predecessors."""

    def __init__(self, creator: str, name: str) -> None:
        """``creator`` is a user ID; rooms of different names are different ones."""
        self.rules = room_version("11")
        self.creator = creator
        self.room_id = f"!{name}:{server_of(creator)}"
        self.state: dict[StateKey, SignedEvent] = {}
        self.events: dict[str, SignedEvent] = {}
        self.last: Sequence[SignedEvent] = ()
        self._before: dict[StateKey, SignedEvent] = {}
        self.add(creator, CREATE, {"room_version": self.rules.id})
        self.add(creator, (MEMBER, creator), {"membership": "join"})
        self.add(creator, POWER_LEVELS, {"users": {creator: 100}, "events_default": 0})
        self.add(creator, JOIN_RULES, {"join_rule": "public"})

    def again(self) -> Room:
        """The same room, which goes on by itself from here."""
        room = object.__new__(Room)
        room.__dict__ |= self.__dict__ | {"state": dict(self.state), "events": dict(self.events)}
        return room

    def join(self, users: Iterable[str]) -> None:
        """Have users of other servers join, one after the other."""
        for number, user in enumerate(users):
            content = {"membership": "join", "displayname": f"User {number}"}
            self.add(user, (MEMBER, user), content)

    def add(self, sender: str, key: StateKey | str, content: dict[str, Any]) -> SignedEvent:
        """An event by which the room goes on."""
        event = self.event(sender, key, content)
        self.take(event)
        return event

    def take(self, event: SignedEvent) -> None:
        """Go on by an event that somebody has made."""
        self.events[event.event_id] = event
        self.last = (event,)
        if event.state_key is not None:
            self.state[event.key] = event

    def event(
        self,
        sender: str,
        key: StateKey | str,
        content: dict[str, Any],
        *,
        after: Sequence[SignedEvent] | None = None,
    ) -> SignedEvent:
        """An event that nothing comes after yet; by default after the last."""
        type_, state_key = (key, None) if isinstance(key, str) else key
        names = auth_types_for(self.rules, type=type_, sender=sender, state_key=state_key, content=content)
        prev = self.last if after is None else after
        return build_event(
            self.rules,
            server_name=server_of(sender),
            key=KEY,
            room_id=self.room_id,
            type=type_,
            sender=sender,
            content=content,
            origin_server_ts=TIME + len(self.events),
            depth=1 + max((event.depth for event in prev), default=0),
            prev_events=[event.event_id for event in prev],
            auth_events=[self.state[name].event_id for name in names if name in self.state],
            state_key=state_key,
        )

    def messages(self, count: int) -> list[SignedEvent]:
        """So many messages of the creator's, one after the other."""
        return [self.message(number) for number in range(count)]

    def message(self, number: int) -> SignedEvent:
        """A message by which the room goes on."""
        content = {"msgtype": "m.text", "body": f"message {number}"}
        return self.add(self.creator, "m.room.message", content)

    def template(self, user_id: str) -> dict[str, Any]:
        """What ``/make_join`` answers."""
        event = self.event(user_id, (MEMBER, user_id), {"membership": "join"})
        left_out = ("hashes", "signatures")
        made = {key: value for key, value in event.pdu.items() if key not in left_out}
        return {"room_version": self.rules.id, "event": made}

    def told(self) -> Iterator[bytes]:
        """What ``/send_join`` answers, in pieces: the state and what it rests on."""
        yield b'{"state":['
        yield from _listed(self._before.values())
        yield b'],"auth_chain":['
        yield from _listed(self._resting())
        yield b'],"members_omitted":false}'

    def some(self) -> Iterator[bytes]:
        """The same, without the members."""
        state = [event for key, event in self._before.items() if key[0] != MEMBER]
        servers = sorted({server_of(key[1]) for key in self._before if key[0] == MEMBER})
        yield b'{"state":['
        yield from _listed(state)
        yield b'],"auth_chain":['
        yield from _listed(self._resting())
        yield b'],"members_omitted":true,"servers_in_room":' + orjson.dumps(servers) + b"}"

    def whole(self) -> Iterator[bytes]:
        """What ``/state`` answers at the join."""
        yield b'{"pdus":['
        yield from _listed(self._before.values())
        yield b'],"auth_chain":['
        yield from _listed(self._resting())
        yield b"]}"

    def whole_ids(self) -> Iterator[bytes]:
        """What ``/state_ids`` answers there."""
        ids = [event.event_id for event in self._before.values()]
        chain = [event.event_id for event in self._resting()]
        yield orjson.dumps({"pdu_ids": ids, "auth_chain_ids": chain})

    def close(self) -> None:
        """Answer of the state as it is now from now on."""
        self._before = dict(self.state)

    def _resting(self) -> list[SignedEvent]:
        names = {name for event in self._before.values() for name in event.auth_events}
        return [self.events[name] for name in names]


def _listed(events: Iterable[SignedEvent]) -> Iterator[bytes]:
    separator = b""
    for event in events:
        yield separator + orjson.dumps(event.pdu)
        separator = b","


def server_of(user_id: str) -> str:
    """The name of a user's server."""
    return user_id.partition(":")[2]
