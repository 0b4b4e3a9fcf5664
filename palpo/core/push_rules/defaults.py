"""The server-default rules (spec: client-server API, "Predefined Rules", as of v1.19)."""

from __future__ import annotations

from typing import Any, Final

from palpo.core.identifiers import localpart_of
from palpo.core.push_rules.conditions import THREAD_SUBSCRIPTION
from palpo.core.push_rules.model import PushRule, Ruleset

LEGACY_MENTION_RULES: Final = frozenset(
    (".m.rule.contains_display_name", ".m.rule.roomnotif", ".m.rule.contains_user_name")
)
"""Rules of before v1.17 that look for mentions in the text; they leave events with ``m.mentions`` alone."""

_RING: Final = {"set_tweak": "sound", "value": "ring"}
_SOUND: Final = {"set_tweak": "sound", "value": "default"}
_HIGHLIGHT: Final = {"set_tweak": "highlight"}
_TWO_MEMBERS: Final = {"kind": "room_member_count", "is": "2"}
_MAY_NOTIFY_ROOM: Final = {"kind": "sender_notification_permission", "key": "room"}


def default_rules(
    user_id: str, *, polls: bool = False, legacy_mentions: bool = False, thread_subscriptions: bool = False
) -> Ruleset:
    """The rules of a user who has changed none.

    ``polls`` adds MSC3930's rules under their unstable names; ``legacy_mentions`` adds the rules that
    v1.17 took away (MSC4210), which find the user's name or ``@room`` in a message's text;
    ``thread_subscriptions`` adds MSC4306's rules.
    """
    return Ruleset(
        override=tuple(_override(user_id, polls, legacy_mentions)),
        content=(_contains_user_name(user_id),) if legacy_mentions else (),
        postcontent=_thread_subscriptions() if thread_subscriptions else (),
        underride=tuple(_underride(polls)),
    )


def _override(user_id: str, polls: bool, legacy_mentions: bool) -> list[PushRule]:
    member = _match("type", "m.room.member")
    invite = [member, _match("content.membership", "invite"), _match("state_key", user_id)]
    rules = [
        _rule(".m.rule.master", [], [], enabled=False),
        _rule(".m.rule.suppress_notices", [_match("content.msgtype", "m.notice")], []),
        _rule(".m.rule.invite_for_me", invite, ["notify", _SOUND]),
        _rule(".m.rule.member_event", [member], []),
        _is_user_mention(user_id),
    ]
    if legacy_mentions:
        name = [{"kind": "contains_display_name"}]
        rules.append(_rule(".m.rule.contains_display_name", name, ["notify", _SOUND, _HIGHLIGHT]))
    rules.append(_is_room_mention())
    if legacy_mentions:
        at_room = [_match("content.body", "@room"), _MAY_NOTIFY_ROOM]
        rules.append(_rule(".m.rule.roomnotif", at_room, ["notify", _HIGHLIGHT]))
    rules += [
        _rule(".m.rule.tombstone", _state("m.room.tombstone"), ["notify", _HIGHLIGHT]),
        _rule(".m.rule.reaction", [_match("type", "m.reaction")], []),
        _rule(".m.rule.room.server_acl", _state("m.room.server_acl"), []),
    ]
    if polls:
        response = [_match("type", "org.matrix.msc3381.poll.response")]
        rules.append(_rule(".org.matrix.msc3930.rule.poll_response", response, []))
    return [
        *rules,
        _rule(".m.rule.suppress_edits", [_is("content.m\\.relates_to.rel_type", "m.replace")], []),
    ]


def _underride(polls: bool) -> list[PushRule]:
    encrypted, message = _match("type", "m.room.encrypted"), _match("type", "m.room.message")
    rules = [
        _rule(".m.rule.call", [_match("type", "m.call.invite")], ["notify", _RING]),
        _rule(".m.rule.encrypted_room_one_to_one", [_TWO_MEMBERS, encrypted], ["notify", _SOUND]),
        _rule(".m.rule.room_one_to_one", [_TWO_MEMBERS, message], ["notify", _SOUND]),
        _rule(".m.rule.message", [message], ["notify"]),
        _rule(".m.rule.encrypted", [encrypted], ["notify"]),
    ]
    for event in ("start", "end") if polls else ():
        poll = _match("type", f"org.matrix.msc3381.poll.{event}")
        rule_id = f".org.matrix.msc3930.rule.poll_{event}"
        rules.append(_rule(f"{rule_id}_one_to_one", [_TWO_MEMBERS, poll], ["notify", _SOUND]))
        rules.append(_rule(rule_id, [poll], ["notify"]))
    return rules


def _thread_subscriptions() -> tuple[PushRule, ...]:
    """Threads that the user does not follow are silent, those that they follow are not."""
    prefix = ".io.element.msc4306.rule."
    unfollowed, followed = (
        [{"kind": THREAD_SUBSCRIPTION, "subscribed": subscribed}] for subscribed in (False, True)
    )
    return (
        _rule(f"{prefix}unsubscribed_thread", unfollowed, []),
        _rule(f"{prefix}subscribed_thread", followed, ["notify", _SOUND]),
    )


def _is_user_mention(user_id: str) -> PushRule:
    condition = {"kind": "event_property_contains", "key": "content.m\\.mentions.user_ids", "value": user_id}
    return _rule(".m.rule.is_user_mention", [condition], ["notify", _SOUND, _HIGHLIGHT])


def _is_room_mention() -> PushRule:
    conditions = [_is("content.m\\.mentions.room", True), _MAY_NOTIFY_ROOM]
    return _rule(".m.rule.is_room_mention", conditions, ["notify", _HIGHLIGHT])


def _contains_user_name(user_id: str) -> PushRule:
    return PushRule(
        rule_id=".m.rule.contains_user_name",
        default=True,
        actions=["notify", _SOUND, _HIGHLIGHT],
        pattern=localpart_of(user_id),
    )


def _rule(
    rule_id: str, conditions: list[dict[str, Any]], actions: list[Any], *, enabled: bool = True
) -> PushRule:
    return PushRule(rule_id=rule_id, default=True, enabled=enabled, conditions=conditions, actions=actions)


def _match(key: str, pattern: str) -> dict[str, Any]:
    return {"kind": "event_match", "key": key, "pattern": pattern}


def _is(key: str, value: str | bool) -> dict[str, Any]:
    return {"kind": "event_property_is", "key": key, "value": value}


def _state(event_type: str) -> list[dict[str, Any]]:
    """The conditions for a state event with an empty state key."""
    return [_match("type", event_type), _match("state_key", "")]
