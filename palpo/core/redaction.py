"""What is left of an event when it is redacted (spec: rooms/v1 to v12, "Redactions")."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from palpo.core.room_versions import RoomVersion

_TOP_LEVEL = frozenset(
    {
        "event_id",
        "type",
        "room_id",
        "sender",
        "state_key",
        "content",
        "hashes",
        "signatures",
        "depth",
        "prev_events",
        "auth_events",
        "origin_server_ts",
    }
)
_TOP_LEVEL_BEFORE_V11 = _TOP_LEVEL | {"prev_state", "origin", "membership"}
_POWER_LEVELS = frozenset(
    {"ban", "events", "events_default", "kick", "redact", "state_default", "users", "users_default"}
)
_NOTHING: frozenset[str] = frozenset()


def redact(rules: RoomVersion, pdu: dict[str, Any]) -> dict[str, Any]:
    """A copy of ``pdu`` without what its room version does not protect; ``unsigned`` goes too.

    Of objects that stay whole, the copy shares the values.
    """
    kept = _TOP_LEVEL if rules.updated_redaction_rules else _TOP_LEVEL_BEFORE_V11
    redacted = {key: value for key, value in pdu.items() if key in kept}
    content = pdu.get("content")
    if type(content) is dict:
        redacted["content"] = redact_content(rules, pdu.get("type"), content)
    return redacted


def redact_content(rules: RoomVersion, event_type: Any, content: dict[str, Any]) -> dict[str, Any]:
    """A copy of ``content`` without what is not protected in events of ``event_type``."""
    if rules.updated_redaction_rules and event_type == "m.room.create":
        return dict(content)
    if type(event_type) is not str:
        return {}
    protected = _protected(rules).get(event_type, _NOTHING)
    redacted = {key: content[key] for key in content if key in protected}
    if rules.updated_redaction_rules and event_type == "m.room.member":
        _keep_signed_invite(content, redacted)
    return redacted


def _keep_signed_invite(content: dict[str, Any], redacted: dict[str, Any]) -> None:
    """Of ``third_party_invite``, the ``signed`` block stays (MSC3821)."""
    invite = content.get("third_party_invite")
    if type(invite) is dict and "signed" in invite:
        redacted["third_party_invite"] = {"signed": invite["signed"]}


def _protected(rules: RoomVersion) -> dict[str, frozenset[str]]:
    return _protected_content(
        rules.special_case_aliases_auth,
        rules.restricted_joins,
        rules.restricted_redaction_keeps_authoriser,
        rules.updated_redaction_rules,
    )


@lru_cache(maxsize=16)
def _protected_content(
    aliases: bool, allow: bool, authoriser: bool, updated: bool
) -> dict[str, frozenset[str]]:
    """The protected keys of ``content`` by event type, where create events from v11 on keep all."""
    member = {"membership"} | ({"join_authorised_via_users_server"} if authoriser else _NOTHING)
    return {
        "m.room.member": frozenset(member),
        "m.room.create": frozenset({"creator"}),
        "m.room.join_rules": frozenset({"join_rule", "allow"} if allow else {"join_rule"}),
        "m.room.power_levels": _POWER_LEVELS | ({"invite"} if updated else _NOTHING),
        "m.room.history_visibility": frozenset({"history_visibility"}),
        "m.room.aliases": frozenset({"aliases"}) if aliases else _NOTHING,
        "m.room.redaction": frozenset({"redacts"}) if updated else _NOTHING,
    }
