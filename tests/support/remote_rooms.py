"""Rooms of another homeserver, of which ours knows what it is told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from palpo.core.auth_rules import auth_types_for
from palpo.core.event_hashes import reference_hash
from palpo.core.events import SignedEvent, StateKey, build_event
from palpo.core.room_versions import EventIdFormat, room_version
from palpo.core.state_keys import CREATE, JOIN_RULES, MEMBER, POWER_LEVELS
from palpo.core.unpadded_base64 import encode
from tests.support.homeserver import Client, Homeserver
from tests.support.remote_users import BOB, KEY, SERVER


class RemoteRoom:
    """A room that Bob has made, and that anybody may join."""

    def __init__(self, version: str = "11", *, name: str = "elsewhere", time: int = 1_000_000) -> None:
        """Rooms of different names are different ones; event IDs that are chosen are made of the time."""
        self.rules = room_version(version)
        self.events: dict[str, SignedEvent] = {}
        self.state: dict[StateKey, SignedEvent] = {}
        """The current state."""
        self.last: tuple[str, ...] = ()
        self.room_id = f"!{name}:{SERVER}"
        self._time = time
        create = self.add(BOB, CREATE, {"room_version": version, "creator": BOB, "name": name})
        self.room_id = create.room_id
        self.add(BOB, (MEMBER, BOB), {"membership": "join"})
        owner = {} if self.rules.create_event_is_room_id else {BOB: 100}
        self.add(BOB, POWER_LEVELS, {"users": owner})
        self.add(BOB, JOIN_RULES, {"join_rule": "public"})

    def add(self, sender: str, key: StateKey | str, content: dict[str, Any], **options: Any) -> SignedEvent:
        """An event behind the last, by which the room goes on."""
        event = self.event(sender, key, content, **options)
        self.take(event)
        return event

    def take(self, event: SignedEvent) -> None:
        """Go on by an event that somebody has made."""
        self.events[event.event_id] = event
        self.last = (event.event_id,)
        if event.state_key is not None:
            self.state[event.key] = event

    def event(
        self,
        sender: str,
        key: StateKey | str,
        content: dict[str, Any],
        *,
        after: tuple[str, ...] | None = None,
        state: Mapping[StateKey, SignedEvent] | None = None,
        auth: Iterable[str] | None = None,
        time: int | None = None,
        depth: int | None = None,
        event_id: str | None = None,
        redacts: str | None = None,
    ) -> SignedEvent:
        """An event after others, authorized by ``state``, that nothing comes after."""
        type_, state_key = (key, None) if isinstance(key, str) else key
        known = self.state if state is None else state
        keys = auth_types_for(self.rules, type=type_, sender=sender, state_key=state_key, content=content)
        cited = [known[name].event_id for name in keys if name in known] if auth is None else list(auth)
        prev = self.last if after is None else after
        self._time += 1
        chosen = self.rules.event_id_format is EventIdFormat.CHOSEN
        makes_room = self.rules.create_event_is_room_id and key == CREATE
        made = build_event(
            self.rules,
            server_name=SERVER,
            key=KEY,
            room_id=None if makes_room else self.room_id,
            type=type_,
            sender=sender,
            content=content,
            origin_server_ts=self._time if time is None else time,
            depth=1 + max((self.events[name].depth for name in prev), default=0) if depth is None else depth,
            prev_events=prev,
            auth_events=cited,
            state_key=state_key,
            redacts=redacts,
            event_id=(event_id or f"${self._time}:{SERVER}") if chosen else None,
            hashes_of={
                name: encode(reference_hash(self.rules, self.events[name].pdu)) for name in (*prev, *cited)
            }
            if chosen
            else None,
        )
        self.events[made.event_id] = made
        return made

    def auth_chain(self, events: Iterable[SignedEvent]) -> list[SignedEvent]:
        """What the events rest on, in no order."""
        found: dict[str, SignedEvent] = {}
        waiting = [name for event in events for name in event.auth_events]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found[name] = self.events[name]
                waiting += found[name].auth_events
        return list(found.values())


async def import_state(server: Homeserver, room: RemoteRoom) -> bytes:
    """The root of the room's state."""
    state = list(room.state.values())
    imports = server.services.history.state_import
    return await imports.store(room.rules, room.room_id, state, room.auth_chain(state))


async def begin(server: Homeserver, room: RemoteRoom, event: SignedEvent, before: bytes) -> None:
    history = server.services.history
    build = partial(history.beginnings.build, event=event, before=before)
    await history.room_writer.admit(room.room_id, build)


async def join(server: Homeserver, room: RemoteRoom, client: Client) -> SignedEvent:
    """Have a user of ours join at the room's end."""
    before = await import_state(server, room)
    event = room.add(client.user_id, (MEMBER, client.user_id), {"membership": "join"})
    await begin(server, room, event, before)
    return event


async def told(server: Homeserver, room: RemoteRoom, *events: SignedEvent) -> None:
    """Have events taken in as from a transaction."""
    history = server.services.history
    for event in events:
        await history.room_writer.admit(room.room_id, partial(history.admission.build, events=[event]))
