"""Iterative auth checks (spec: rooms/v2, "Definitions")."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from palpo.core.auth_rules import auth_types_for, check_auth
from palpo.core.errors import AuthError
from palpo.core.events import SignedEvent, StateKey
from palpo.core.room_versions import RoomVersion
from palpo.core.state_keys import CREATE
from palpo.core.state_resolution.requests import Known, NeedRejected, Resolving, paused, unconflicted


class Replay:
    """A room state that events are applied to, as far as the auth rules allow them.

    ``state`` holds what was applied. Below it lies the initial state: with ``on_unconflicted`` the
    unconflicted state map, of which only what is needed is looked up, and nothing otherwise (v2.1).
    """

    def __init__(
        self, rules: RoomVersion, known: Known, conflicted: Collection[StateKey], *, on_unconflicted: bool
    ) -> None:
        self.state: dict[StateKey, SignedEvent] = {}
        self._rules = rules
        self._known = known
        self._conflicted = conflicted
        self._on_unconflicted = on_unconflicted
        self._initial: dict[StateKey, SignedEvent] = {}
        self._looked_up: set[StateKey] = set()

    def get(self, key: StateKey) -> Resolving[SignedEvent | None]:
        """What the state has at ``key``."""
        yield from self._look_up([key])
        return self.state.get(key) or self._initial.get(key)

    def apply(self, events: Sequence[SignedEvent]) -> Resolving[None]:
        """Apply each event in turn that the state then reached allows; ignore the others."""
        keys: dict[str, list[StateKey]] = {}
        for number, event in enumerate(events):
            yield from paused(number)
            keys[event.event_id] = auth_keys(self._rules, event)
        yield from self._look_up(key for wanted in keys.values() for key in wanted)
        auth_events = yield from self._usable_auth_events(events)
        for number, event in enumerate(events):
            yield from paused(number)
            auth_state = self._auth_state(event, keys[event.event_id], auth_events)
            if is_allowed(self._rules, event, auth_state):
                self.state[event.key] = event

    def _look_up(self, keys: Iterable[StateKey]) -> Resolving[None]:
        if not self._on_unconflicted:
            return
        wanted = set(keys) - self._looked_up
        self._looked_up |= wanted
        found = yield from unconflicted(sorted(wanted), self._conflicted)
        events = yield from self._known.events(found.values())
        self._initial.update({key: events[name] for key, name in found.items() if name in events})

    def _usable_auth_events(self, events: Sequence[SignedEvent]) -> Resolving[dict[str, SignedEvent]]:
        """The auth events of ``events``, without those that were rejected."""
        names = dict.fromkeys(name for event in events for name in _auth_event_ids(self._rules, event))
        found = yield from self._known.events(names)
        if not found:
            return {}
        rejected: Collection[str] = yield NeedRejected(event_ids=tuple(found))
        return {name: event for name, event in found.items() if name not in rejected}

    def _auth_state(
        self, event: SignedEvent, keys: Collection[StateKey], auth_events: Mapping[str, SignedEvent]
    ) -> dict[StateKey, SignedEvent]:
        cited = (auth_events.get(name) for name in _auth_event_ids(self._rules, event))
        state = {auth.key: auth for auth in cited if auth is not None and auth.is_state and auth.key in keys}
        for key in keys:
            current = self.state.get(key) or self._initial.get(key)
            if current is not None:
                state[key] = current
        return state


def is_allowed(rules: RoomVersion, event: SignedEvent, auth_state: Mapping[StateKey, SignedEvent]) -> bool:
    """Whether a room in ``auth_state`` allows ``event``."""
    try:
        check_auth(rules, event, auth_state)
    except AuthError:
        return False
    return True


def auth_keys(rules: RoomVersion, event: SignedEvent) -> list[StateKey]:
    """The state that bears on ``event``; the create event does in every room version."""
    keys = auth_types_for(
        rules, type=event.type, sender=event.sender, state_key=event.state_key, content=event.content
    )
    return [CREATE, *(key for key in keys if key != CREATE)]


def _auth_event_ids(rules: RoomVersion, event: SignedEvent) -> tuple[str, ...]:
    """``auth_events``, and the create event where the room ID stands for it."""
    if rules.create_event_is_room_id:
        return (f"${event.room_id[1:]}", *event.auth_events)
    return event.auth_events
