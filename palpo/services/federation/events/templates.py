"""Templates of membership events that other servers give, and the events that are made of them.

Of a template only what cannot be known here is taken: where in the room's history the event stands, what it
rests on, and its content as far as ours does not say it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from palpo.core.errors import BadJson
from palpo.core.event_format import MAX_AUTH_EVENTS, MAX_PREV_EVENTS, event_ids
from palpo.core.events import SignedEvent, build_event
from palpo.core.identifiers import RoomId, ServerName, UserId
from palpo.core.membership import Membership
from palpo.core.room_versions import EventIdFormat, RoomVersion, room_version
from palpo.core.signing import SigningKey
from palpo.core.state_keys import MEMBER
from palpo.services.federation.servers.remote_answers import Malformed

MAX_DEPTH = 2**53 - 1
OURS = ("displayname", "avatar_url", "reason")
"""What of the content is the user's to say, or nobody's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a user of this server wants to be to a room."""

    user_id: UserId
    room_id: RoomId
    membership: Membership
    content: Mapping[str, Any]
    """What the event is to say besides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The event by which a wish comes true, if another server takes it."""

    rules: RoomVersion
    event: SignedEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Who signs what is prepared."""

    server_name: ServerName
    key: SigningKey
    now_ms: Callable[[], int]
    random_id: Callable[[], str]


class Template(msgspec.Struct, frozen=True):
    """What ``make_join``, ``make_leave`` and ``make_knock`` answer."""

    event: dict[str, Any]
    room_version: str = "1"
    """Servers from before there were others do not say it."""


def prepare(signer: Signer, wish: Wish, template: Template) -> Prepared:
    """The event of a wish; raises Malformed, M_UNSUPPORTED_ROOM_VERSION, TooLarge, BadJson."""
    rules, given = room_version(template.room_version), template.event
    _check(wish, given)
    chosen = rules.event_id_format is EventIdFormat.CHOSEN
    try:
        prev_events = event_ids(rules, given, "prev_events", MAX_PREV_EVENTS)
        auth_events = event_ids(rules, given, "auth_events", MAX_AUTH_EVENTS)
    except BadJson as error:
        raise Malformed(f"The template cannot be used: {error.message}") from error
    event = build_event(
        rules,
        server_name=signer.server_name,
        key=signer.key,
        room_id=wish.room_id,
        type=MEMBER,
        sender=wish.user_id,
        state_key=wish.user_id,
        content=_content(wish, given),
        origin_server_ts=signer.now_ms(),
        depth=_depth(given),
        prev_events=prev_events,
        auth_events=auth_events,
        event_id=f"${signer.random_id()}:{signer.server_name}" if chosen else None,
        hashes_of=_hashes(given) if chosen else None,
        # The spec has it in what is sent to /send_join, /send_leave and /send_knock.
        with_origin=True,
    )
    return Prepared(rules=rules, event=event)


def _check(wish: Wish, given: Mapping[str, Any]) -> None:
    """The template is of what was asked for (spec: "make_join", what has to be verified)."""
    wanted = {"type": MEMBER, "room_id": wish.room_id, "sender": wish.user_id, "state_key": wish.user_id}
    wrong = [name for name, value in wanted.items() if given.get(name) != value]
    content = given.get("content")
    if not isinstance(content, dict) or content.get("membership") != wish.membership.value:
        wrong.append("content")
    if wrong:
        raise Malformed(f"The template is of something else: {', '.join(wrong)}")


def _content(wish: Wish, given: Mapping[str, Any]) -> dict[str, Any]:
    theirs = {name: value for name, value in given["content"].items() if name not in OURS}
    return {**theirs, **wish.content, "membership": wish.membership.value}


def _depth(given: Mapping[str, Any]) -> int:
    depth = given.get("depth")
    if type(depth) is not int or depth < 0:
        raise Malformed("The template has no depth")
    return min(depth, MAX_DEPTH)


def _hashes(given: Mapping[str, Any]) -> dict[str, str]:
    """The reference hashes by which versions 1 and 2 name events beside their IDs."""
    pairs = [*given["prev_events"], *given["auth_events"]]
    hashes = {name: of.get("sha256") for name, of in pairs}
    if not all(isinstance(value, str) for value in hashes.values()):
        raise Malformed("The template names events without their hashes")
    return hashes
