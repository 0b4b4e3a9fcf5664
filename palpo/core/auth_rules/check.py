"""The rules for every event but memberships (spec: rooms/v1 to v12, "Authorization rules")."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from palpo.core.auth_rules.membership import check_membership, membership_in
from palpo.core.errors import AuthError
from palpo.core.events import Event, SignedEvent, StateKey
from palpo.core.identifiers import is_user_id
from palpo.core.membership import JOIN
from palpo.core.power_levels import PowerLevels, check_power_levels_change, malformed, validate_power_levels
from palpo.core.room_versions import ALL_ROOM_VERSIONS, RoomVersion
from palpo.core.state_keys import CREATE, POWER_LEVELS

_OWNED: Final = re.compile(r"(@[^:]*:[^_]*)(?:_.*)?", re.DOTALL)
"""A user ID and what may follow it in a state key: server names have no underscore."""
MAX_SUFFIX: Final = 256


def check_auth(rules: RoomVersion, event: SignedEvent, auth_state: Mapping[StateKey, Event]) -> None:
    """Check that a room in ``auth_state`` allows ``event``; raises ``AuthError`` with the reason.

    ``auth_state`` may hold more than what bears on the event. It holds the create event in every room
    version. Signatures of servers are not checked here; that of a third-party invite is.
    """
    if event.type == "m.room.create":
        _check_create(rules, event)
        return
    create = auth_state.get(CREATE)
    if create is None:
        raise AuthError("The room has no create event")
    _check_room(rules, event, create)
    if event.type == "m.room.aliases" and rules.special_case_aliases_auth:
        _check_aliases(event)
    elif event.type == "m.room.member":
        check_membership(rules, event, auth_state, create)
    else:
        _check_other(rules, event, auth_state, create)


def validate_create_content(rules: RoomVersion, content: dict[str, Any]) -> None:
    """Check the content of an ``m.room.create`` event; raises ``AuthError`` with status 400."""
    version = content.get("room_version", rules.id)
    if not isinstance(version, str) or version not in ALL_ROOM_VERSIONS:
        raise malformed("room_version is not a room version that is known here")
    if not rules.implicit_room_creator and "creator" not in content:
        raise malformed("The create event has no creator")
    if rules.privileged_creators and "additional_creators" in content:
        additional = content["additional_creators"]
        if not isinstance(additional, list) or not all(map(is_user_id, additional)):
            raise malformed("additional_creators is not an array of user IDs")


def _check_create(rules: RoomVersion, event: SignedEvent) -> None:
    if event.prev_events:
        raise AuthError("A create event has no previous events")
    if rules.create_event_is_room_id:
        if "room_id" in event.pdu:
            raise AuthError("A create event has no room_id in this room version")
    elif _domain(event.room_id) != _domain(event.sender):
        raise AuthError("The room ID is not of the creator's server")
    validate_create_content(rules, event.content)


def _check_room(rules: RoomVersion, event: Event, create: Event) -> None:
    """The rules about the room as a whole: that it is the right one, and ``m.federate``."""
    if rules.create_event_is_room_id and event.room_id[1:] != create.event_id[1:]:
        raise AuthError("The room ID is not the create event's")
    if create.content.get("m.federate") is False and _domain(event.sender) != _domain(create.sender):
        raise AuthError("The room does not federate")


def _check_aliases(event: Event) -> None:
    if event.state_key is None:
        raise AuthError("Aliases are state")
    if event.state_key != _domain(event.sender):
        raise AuthError("You may only set your own server's aliases")


def _check_other(
    rules: RoomVersion, event: Event, auth_state: Mapping[StateKey, Event], create: Event
) -> None:
    sender = event.sender
    if membership_in(auth_state, sender) is not JOIN:
        raise AuthError(f"{sender} is not in the room")
    levels = PowerLevels.from_state(rules, create, auth_state.get(POWER_LEVELS))
    level = levels.user(sender)
    if event.type == "m.room.third_party_invite":
        if level < levels.invite:
            raise AuthError(f"{sender} may not invite: level {level}, needed {levels.invite}")
        return
    needed = levels.event(event.type, event.state_key is not None)
    if level < needed:
        raise AuthError(f"{sender} may not send {event.type}: level {level}, needed {needed}")
    if event.state_key is not None and event.state_key.startswith("@") and event.state_key != sender:
        _check_owner(rules, event.state_key, sender, levels)
    if event.type == "m.room.power_levels":
        validate_power_levels(rules, create, event.content)
        if POWER_LEVELS in auth_state:
            check_power_levels_change(levels, sender, event.content)
    elif event.type == "m.room.redaction" and rules.redaction_by_auth_rule:
        _check_redaction(event, level, levels.redact)


def _check_owner(rules: RoomVersion, state_key: str, sender: str, levels: PowerLevels) -> None:
    """A state key that is a user ID belongs to that user.

    With owned state (MSC3757) so does one that continues it after an underscore, and whoever has a
    higher level than the owner may set it too.
    """
    if not rules.owned_state:
        raise AuthError("A state key that is a user ID belongs to that user")
    found = _OWNED.fullmatch(state_key)
    if found is None or not is_user_id(found[1]):
        raise malformed("A state key that starts with @ must start with a user ID")
    owner = found[1]
    if len(state_key[len(owner) :].encode()) > MAX_SUFFIX:
        raise AuthError(f"What follows the owner in a state key is longer than {MAX_SUFFIX} bytes")
    if owner != sender and levels.user(sender) <= levels.user(owner):
        raise AuthError(f"The state belongs to {owner}")


def _check_redaction(event: Event, level: int, needed: int) -> None:
    """Room versions 1 and 2: by level, or where the same server chose both event IDs."""
    own_server = event.redacts is not None and _domain(event.redacts) == _domain(event.event_id)
    if level < needed and not own_server:
        raise AuthError(f"{event.sender} may not redact others' events: level {level}, needed {needed}")


def _domain(identifier: str) -> str:
    return identifier.partition(":")[2]
