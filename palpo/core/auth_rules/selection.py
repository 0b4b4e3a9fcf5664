"""Which state authorizes an event (spec: server-server API, "Auth events selection")."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

from palpo.core.errors import AuthError
from palpo.core.events import Event, StateKey
from palpo.core.membership import INVITE, JOIN, KNOCK
from palpo.core.room_versions import RoomVersion
from palpo.core.state_keys import CREATE, JOIN_RULES, POWER_LEVELS


def auth_types_for(
    rules: RoomVersion, *, type: str, sender: str, state_key: str | None, content: dict[str, Any]
) -> list[StateKey]:
    """The state that an event's ``auth_events`` are taken from, as far as the room has it.

    Without repetitions; empty for the create event. Where the room ID is the create event's hash, the
    create event is not among them.
    """
    if type == "m.room.create":
        return []
    keys = [] if rules.create_event_is_room_id else [CREATE]
    keys += [POWER_LEVELS, ("m.room.member", sender)]
    if type == "m.room.member" and state_key is not None:
        keys += [key for key in _membership_keys(rules, state_key, content) if key not in keys]
    return keys


def _membership_keys(rules: RoomVersion, target: str, content: dict[str, Any]) -> Iterable[StateKey]:
    """The state that bears on a membership, besides what bears on any event."""
    membership = content.get("membership")
    yield "m.room.member", target
    if membership in (JOIN, INVITE, KNOCK):
        yield JOIN_RULES
    if membership == INVITE:
        token = third_party_token(content)
        if token is not None:
            yield "m.room.third_party_invite", token
    if membership == JOIN and rules.restricted_joins:
        authoriser = content.get("join_authorised_via_users_server")
        if isinstance(authoriser, str):
            yield "m.room.member", authoriser


def third_party_token(content: dict[str, Any]) -> str | None:
    """``third_party_invite.signed.token`` of a membership's content, where it is a string."""
    invite = content.get("third_party_invite")
    signed = invite.get("signed") if isinstance(invite, dict) else None
    token = signed.get("token") if isinstance(signed, dict) else None
    return token if isinstance(token, str) else None


def authorising_server(rules: RoomVersion, event: Event) -> str | None:
    """The server that must have signed a membership besides its sender's, or ``None``.

    It is the server of ``join_authorised_via_users_server``. The signature is checked with the others
    on receipt of the event, where the keys are, not by ``check_auth``.
    """
    if event.type != "m.room.member" or not rules.restricted_joins:
        return None
    authoriser = event.content.get("join_authorised_via_users_server")
    return authoriser.partition(":")[2] or None if isinstance(authoriser, str) else None


def check_auth_events(
    rules: RoomVersion, event: Event, auth_events: Iterable[Event], rejected: Container[str]
) -> dict[StateKey, Event]:
    """Check the list of an event's auth events, and return it as the state for ``check_auth``.

    ``rejected`` knows the event IDs of rejected events; in room versions where the create event is the
    room ID, that is looked up in it too, and the caller adds the create event to the result. Raises
    ``AuthError`` for repeated, unwanted, rejected and foreign entries, and for a lack of the create event.
    """
    if event.type == "m.room.create":
        return {}
    if rules.create_event_is_room_id and f"${event.room_id[1:]}" in rejected:
        raise AuthError("The room's create event was rejected")
    wanted = set(
        auth_types_for(
            rules, type=event.type, sender=event.sender, state_key=event.state_key, content=event.content
        )
    )
    state: dict[StateKey, Event] = {}
    for entry in auth_events:
        if entry.state_key is None or entry.key not in wanted:
            raise AuthError(f"Auth event {entry.event_id} does not bear on the event")
        if entry.key in state:
            raise AuthError(f"Two auth events for the same state {entry.key}")
        if entry.event_id in rejected:
            raise AuthError(f"Auth event {entry.event_id} was rejected")
        if entry.room_id != event.room_id:
            raise AuthError(f"Auth event {entry.event_id} is of another room")
        state[entry.key] = entry
    if CREATE in wanted and CREATE not in state:
        raise AuthError("The create event is not among the auth events")
    return state
