"""Room versions as data: what differs between them is a named flag (spec: rooms/v1 to rooms/v12)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from palpo.core.errors import BadRequest


class EventIdFormat(Enum):
    """How an event gets its ID."""

    CHOSEN = "chosen"
    """``$opaque:server``, a field of the event (v1, v2)."""
    HASH_BASE64 = "hash_base64"
    """``$`` and the reference hash in unpadded standard base64 (v3)."""
    HASH_URLSAFE = "hash_urlsafe"
    """``$`` and the reference hash in unpadded URL-safe base64 (v4 and later)."""


class StateResolution(Enum):
    """Which algorithm merges forks of the room's state."""

    V1 = "v1"
    V2 = "v2"
    V2_1 = "v2.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomVersion:
    """One room version's rules.

    Each flag says what the version *does*; the version that brought it stands at the constants below.
    """

    id: str
    stable: bool = True
    event_id_format: EventIdFormat = EventIdFormat.CHOSEN
    state_resolution: StateResolution = StateResolution.V1
    enforce_key_validity: bool = False
    """Signatures count only with a key valid at the event's ``origin_server_ts``."""
    special_case_aliases_auth: bool = True
    """``m.room.aliases`` has an auth rule, and its ``aliases`` survive redaction."""
    redaction_by_auth_rule: bool = True
    """The auth rules judge ``m.room.redaction`` by power level or by equal domains of the event IDs."""
    strict_canonical_json: bool = False
    """Integers must be in canonical JSON's range, and floats are refused."""
    limit_notifications_power_levels: bool = False
    """The ``notifications`` levels are covered by the power-level rule too."""
    knocking: bool = False
    restricted_joins: bool = False
    """Join rule ``restricted`` works; ``allow`` survives redaction."""
    restricted_redaction_keeps_authoriser: bool = False
    """``join_authorised_via_users_server`` survives redaction of a membership."""
    knock_restricted_joins: bool = False
    integer_power_levels: bool = False
    """Power levels must be JSON integers, not strings of digits."""
    implicit_room_creator: bool = False
    """The creator is the create event's sender; ``content.creator`` is not needed."""
    updated_redaction_rules: bool = False
    """Version 11's redaction: more content kept, ``redacts`` in content, fewer top-level keys."""
    create_event_is_room_id: bool = False
    """The room ID is the create event's reference hash, and that event has no ``room_id``."""
    owned_state: bool = False
    """A state key may be a user ID with a suffix, and who outranks its owner may set it (MSC3757)."""
    privileged_creators: bool = False
    """Creators (with ``additional_creators``) have an infinite power level."""


V1 = RoomVersion(id="1")
V2 = replace(V1, id="2", state_resolution=StateResolution.V2)
V3 = replace(V2, id="3", event_id_format=EventIdFormat.HASH_BASE64, redaction_by_auth_rule=False)
V4 = replace(V3, id="4", event_id_format=EventIdFormat.HASH_URLSAFE)
V5 = replace(V4, id="5", enforce_key_validity=True)
V6 = replace(
    V5,
    id="6",
    special_case_aliases_auth=False,
    strict_canonical_json=True,
    limit_notifications_power_levels=True,
)
V7 = replace(V6, id="7", knocking=True)
V8 = replace(V7, id="8", restricted_joins=True)
V9 = replace(V8, id="9", restricted_redaction_keeps_authoriser=True)
V10 = replace(V9, id="10", knock_restricted_joins=True, integer_power_levels=True)
V11 = replace(V10, id="11", implicit_room_creator=True, updated_redaction_rules=True)
V12 = replace(
    V11,
    id="12",
    state_resolution=StateResolution.V2_1,
    create_event_is_room_id=True,
    privileged_creators=True,
)
MSC3757_V10 = replace(V10, id="org.matrix.msc3757.10", stable=False, owned_state=True)
MSC3757_V11 = replace(V11, id="org.matrix.msc3757.11", stable=False, owned_state=True)

ROOM_VERSIONS: dict[str, RoomVersion] = {
    version.id: version for version in (V1, V2, V3, V4, V5, V6, V7, V8, V9, V10, V11, V12)
}
"""The spec's room versions."""
UNSTABLE_ROOM_VERSIONS: dict[str, RoomVersion] = {
    version.id: version for version in (MSC3757_V10, MSC3757_V11)
}
"""Those of proposals: served to whoever asks for one by name."""
ALL_ROOM_VERSIONS = ROOM_VERSIONS | UNSTABLE_ROOM_VERSIONS


def room_version(version_id: str) -> RoomVersion:
    """The rules of ``version_id``; raises ``M_UNSUPPORTED_ROOM_VERSION`` (400) for one not known."""
    version = ALL_ROOM_VERSIONS.get(version_id)
    if version is None:
        raise BadRequest(
            f"Room version {version_id[:64]!r} is not supported", errcode="M_UNSUPPORTED_ROOM_VERSION"
        )
    return version
