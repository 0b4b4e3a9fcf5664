"""Histories of rooms as several servers would make them that do not see each other all the time.

Forks and merges, memberships against bans, levels, equal times, redactions before what they redact, and much
that is not allowed: the auth rules decide. Bob stays, and may do all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

from palpo.core.admission import Missing
from palpo.core.events import SignedEvent, StateKey
from palpo.core.state_keys import JOIN_RULES, MEMBER, NAME, POWER_LEVELS, TOPIC
from tests.support.pure_servers import Server
from tests.support.remote_rooms import RemoteRoom
from tests.support.remote_users import BOB, CAROL, SERVER

DAVE, EVE = f"@dave:{SERVER}", f"@eve:{SERVER}"
USERS = (BOB, CAROL, DAVE, EVE)
MAX_LEAVES = 15


@dataclass(slots=True)
class History:
    """What comes after a room's begin, made by chance; the last event merges all the others."""

    room: RemoteRoom
    random: Random
    size: int
    events: list[SignedEvent] = field(default_factory=list)
    """Each after those that it refers to."""
    reference: Server = field(init=False)
    """A server that was sent them in this order."""

    def __post_init__(self) -> None:
        self.reference = Server(self.room.rules.id)
        for event in self.room.events.values():
            self.reference.receive(event)
        leaves = list(self.room.last)
        for _ in range(self.size):
            event = self._event(self._after(leaves))
            leaves = [name for name in leaves if name not in event.prev_events] + [event.event_id]
        self._add(BOB, "m.room.message", {"body": "the end"}, tuple(leaves))

    def _after(self, leaves: list[str]) -> tuple[str, ...]:
        """Ends mostly, and now and then something that others have come after."""
        if len(leaves) < MAX_LEAVES and self.random.random() < 0.4:
            pool = [*self.room.last, *(event.event_id for event in self.events)]
            return (self.random.choice(pool[-10:]),)
        count = self.random.randint(1, min(len(leaves), 2 if len(leaves) < MAX_LEAVES else 10))
        return tuple(self.random.sample(leaves, count))

    def _event(self, after: tuple[str, ...]) -> SignedEvent:
        sender = self._sender(after)
        match self.random.randrange(8):
            case 0 | 1:
                return self._membership(sender, after)
            case 2:
                key = self.random.choice([TOPIC, NAME])
                return self._add(sender, key, {"topic": f"{self.random.random()}"}, after)
            case 3:
                return self._add(sender, POWER_LEVELS, self._levels(), after)
            case 4:
                rule = self.random.choice(["public", "invite"])
                return self._add(sender, JOIN_RULES, {"join_rule": rule}, after)
            case 5 if self.events:
                return self._redaction(after)
            case _:
                return self._add(sender, "m.room.message", {"body": f"{self.random.random()}"}, after)

    def _sender(self, after: tuple[str, ...]) -> str:
        """Who is in the room mostly, and Bob often: he invites and bans."""
        state = self.reference.state_after(after)
        events = [self.reference.events[state[MEMBER, user]] for user in USERS if (MEMBER, user) in state]
        joined = [event.state_key for event in events if event.content["membership"] == "join"]
        pool = [user for user in joined if user] if self.random.random() < 0.7 else USERS
        return self.random.choice([BOB, *pool])

    def _membership(self, sender: str, after: tuple[str, ...]) -> SignedEvent:
        target = self.random.choice([sender, *USERS[1:]])
        own = ["join"] if sender == BOB else ["join", "leave"]
        membership = self.random.choice(own if target == sender else ["ban", "leave", "invite"])
        return self._add(sender, (MEMBER, target), {"membership": membership}, after)

    def _levels(self) -> dict[str, Any]:
        users = {user: self.random.choice([0, 50]) for user in (CAROL, DAVE)}
        owner = {} if self.room.rules.create_event_is_room_id else {BOB: 100}
        return {"users": {**owner, **users}, "state_default": self.random.choice([0, 50])}

    def _redaction(self, after: tuple[str, ...]) -> SignedEvent:
        """Of anything, also of what its sender's server cannot know yet."""
        target = self.random.choice(self.events).event_id
        content = {"redacts": target} if self.room.rules.updated_redaction_rules else {}
        return self._add(BOB, "m.room.redaction", content, after, redacts=target)

    def _add(
        self, sender: str, key: StateKey | str, content: dict[str, Any], after: tuple[str, ...], **more: Any
    ) -> SignedEvent:
        known = self.reference.state_after(after)
        event = self.room.event(
            sender,
            key,
            content,
            after=after,
            state={name: self.reference.events[event_id] for name, event_id in known.items()},
            time=1_000_000 + self.random.randrange(5),
            **more,
        )
        if event.event_id not in self.reference.events:
            verdict = self.reference.receive(event)
            assert not isinstance(verdict, Missing)
            self.events.append(event)
        return event

    def shuffled(self, random: Random) -> list[SignedEvent]:
        """The same events, whatever refers to what."""
        return random.sample(self.events, len(self.events))
