"""Events as another homeserver would send them, signed with a key of its own."""

from __future__ import annotations

from functools import partial
from typing import Any

from palpo.core.auth_rules import auth_types_for
from palpo.core.events import SignedEvent, StateKey, build_event
from palpo.core.signing import SigningKey
from palpo.services.history.room_heads import RoomHead
from tests.support.homeserver import Homeserver

SERVER = "remote.example"
BOB, CAROL = f"@bob:{SERVER}", f"@carol:{SERVER}"
KEY = SigningKey(key_id="ed25519:1", seed=b"remote" + bytes(26))


class Remote:
    """Another server's view of a room of ours, which it knows as it was at ``head``."""

    def __init__(
        self, server: Homeserver, room_id: str, *, name: str = SERVER, key: SigningKey = KEY
    ) -> None:
        """``name`` and ``key`` are the other server's."""
        self.history = server.services.history
        self.name, self.key = name, key
        self.room_id = room_id
        self.made: dict[str, SignedEvent] = {}
        self.clock = 1000

    async def head(self) -> RoomHead:
        return await self.history.room_heads.get(self.room_id)

    async def event(
        self,
        sender: str,
        key: StateKey | str,
        content: dict[str, Any],
        *,
        after: tuple[str, ...] | None = None,
        state: dict[StateKey, str] | None = None,
        depth: int | None = None,
        redacts: str | None = None,
        event_id: str | None = None,
    ) -> SignedEvent:
        """An event after others, or after the room's last; ``state`` names other auth events.

        ``event_id`` is for room versions 1 and 2; the hashes of what the event refers to are not right there.
        """
        head = await self.head()
        type_, state_key = (key, None) if isinstance(key, str) else key
        keys = auth_types_for(head.rules, type=type_, sender=sender, state_key=state_key, content=content)
        known = await self.history.room_heads.state(head, keys)
        ids = {name: known[name].event_id for name in keys if name in known} | (state or {})
        prev_events = head.row.extremities if after is None else after
        self.clock += 1
        made = build_event(
            head.rules,
            server_name=self.name,
            key=self.key,
            room_id=self.room_id,
            type=type_,
            sender=sender,
            content=content,
            origin_server_ts=self.clock,
            depth=head.row.depth + 1 if depth is None else depth,
            prev_events=prev_events,
            auth_events=list(ids.values()),
            state_key=state_key,
            redacts=redacts,
            event_id=event_id,
            hashes_of=dict.fromkeys([*prev_events, *ids.values()], "AAAA"),
        )
        self.made[made.event_id] = made
        return made

    async def send(self, *events: SignedEvent) -> None:
        """Have them taken in, as far as they can be, in as many goes as it takes."""
        known: set[str] = set()
        while True:
            waiting = [event for event in events if event.event_id not in known]
            builds = partial(self.history.admission.build, events=waiting)
            written = await self.history.room_writer.admit(self.room_id, builds)
            known |= {item.event_id for item in written}
            if not written:
                return
