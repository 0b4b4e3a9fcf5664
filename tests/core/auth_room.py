"""A room's state as a plain mapping, for tests of the auth rules."""

from __future__ import annotations

from typing import Any

import pytest

from palpo.core.auth_rules import check_auth
from palpo.core.errors import AuthError
from palpo.core.events import SignedEvent, StateKey
from palpo.core.room_versions import ROOM_VERSIONS, RoomVersion

ALICE, BOB, CAROL, EVE = "@alice:a.org", "@bob:b.org", "@carol:a.org", "@eve:e.org"
"""Creator; member; another of the creator's server; stranger."""
VERSIONS = tuple(ROOM_VERSIONS.values())


def since(*, flag: str, value: object = True) -> list[RoomVersion]:
    """The room versions that have a flag."""
    return [version for version in VERSIONS if getattr(version, flag) == value]


def make_event(
    rules: RoomVersion,
    type: str,
    sender: str,
    state_key: str | None = None,
    content: dict[str, Any] | None = None,
    *,
    event_id: str | None = None,
    room_id: str | None = None,
    prev_events: tuple[str, ...] = ("$before",),
    redacts: str | None = None,
    pdu: dict[str, Any] | None = None,
) -> SignedEvent:
    return SignedEvent(
        event_id=event_id or f"${type}/{state_key}:a.org",
        room_id=room_id or ("!create" if rules.create_event_is_room_id else "!room:a.org"),
        type=type,
        sender=sender,
        state_key=state_key,
        content=content or {},
        depth=1,
        origin_server_ts=0,
        prev_events=prev_events,
        auth_events=(),
        redacts=redacts,
        pdu=pdu or {},
    )


class AuthRoom:
    """A room with Alice, its creator, and Bob in it, who has level 50 where there are power levels."""

    def __init__(self, rules: RoomVersion, **create: Any) -> None:
        self.rules = rules
        self.state: dict[StateKey, SignedEvent] = {}
        creator = {} if rules.implicit_room_creator else {"creator": ALICE}
        content = {"room_version": rules.id, **creator, **create}
        self.set("m.room.create", ALICE, "", content, event_id="$create")
        self.member(ALICE, "join")
        self.member(BOB, "join")

    def set(
        self, type: str, sender: str, state_key: str, content: dict[str, Any], **fields: Any
    ) -> SignedEvent:
        """Put an event into the state without asking the rules."""
        event = make_event(self.rules, type, sender, state_key, content, **fields)
        self.state[event.key] = event
        return event

    def member(self, user_id: str, membership: object) -> None:
        self.set("m.room.member", user_id, user_id, {"membership": membership})

    def join_rule(self, rule: object) -> None:
        self.set("m.room.join_rules", ALICE, "", {"join_rule": rule})

    def levels(self, **content: Any) -> None:
        """Set power levels; Alice's is 100 where it must be stated, Bob's 50."""
        creator = {} if self.rules.privileged_creators else {ALICE: 100}
        users = {**creator, BOB: 50, **content.pop("users", {})}
        self.set("m.room.power_levels", ALICE, "", {"users": users, **content})

    def check(self, *args: Any, **fields: Any) -> None:
        """Ask the rules about an event, given as to ``make_event``."""
        check_auth(self.rules, make_event(self.rules, *args, **fields), self.state)

    def allows(self, *args: Any, **fields: Any) -> None:
        self.check(*args, **fields)

    def rejects(self, reason: str, *args: Any, **fields: Any) -> AuthError:
        with pytest.raises(AuthError, match=reason or None) as info:
            self.check(*args, **fields)
        return info.value

    def allows_member(self, sender: str, target: str, membership: object, **content: Any) -> None:
        self.check("m.room.member", sender, target, {"membership": membership, **content})

    def rejects_member(
        self, reason: str, sender: str, target: str, membership: object, **content: Any
    ) -> AuthError:
        return self.rejects(reason, "m.room.member", sender, target, {"membership": membership, **content})
