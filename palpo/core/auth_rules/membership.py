"""The rules for ``m.room.member`` (spec: rooms/v1 to v12, "Authorization rules")."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from palpo.core.auth_rules.third_party import check_third_party_invite
from palpo.core.errors import AuthError
from palpo.core.events import Event, SignedEvent, StateKey
from palpo.core.identifiers import is_user_id
from palpo.core.membership import BAN, INVITE, JOIN, KNOCK, LEAVE, Membership, membership_of
from palpo.core.power_levels import PowerLevels, creators, malformed
from palpo.core.room_versions import RoomVersion
from palpo.core.state_keys import JOIN_RULES, MEMBER, POWER_LEVELS

State = Mapping[StateKey, Event]


class Change(msgspec.Struct, frozen=True, gc=False):
    """A membership event about to be judged, with what it is judged by."""

    rules: RoomVersion
    event: SignedEvent
    state: State
    create: Event
    target: str
    """Whose membership it is, the event's state key."""
    current: Membership | None
    """The target's membership in the state; ``None`` without one."""

    @property
    def sender(self) -> str:
        """Who makes the change."""
        return self.event.sender

    def levels(self) -> PowerLevels:
        """The power levels in force."""
        return PowerLevels.from_state(self.rules, self.create, self.state.get(POWER_LEVELS))

    def join_rule(self) -> object:
        """The room's join rule; without one it takes an invite."""
        event = self.state.get(JOIN_RULES)
        return "invite" if event is None else event.content.get("join_rule", "invite")


def membership_in(state: State, user_id: str) -> Membership | None:
    """The user's membership in ``state``; ``None`` where there is none."""
    return membership_of(state.get((MEMBER, user_id)))


def check_membership(rules: RoomVersion, event: SignedEvent, state: State, create: Event) -> None:
    """Check an ``m.room.member`` event against ``state``; raises ``AuthError``."""
    target, content = event.state_key, event.content
    membership = content.get("membership")
    if target is None or not isinstance(membership, str):
        raise malformed("A membership has a state_key and a membership")
    authoriser = content.get("join_authorised_via_users_server", target)
    # The authoriser's signature is checked on receipt, see ``authorising_server``.
    if rules.restricted_joins and authoriser is not target and not is_user_id(authoriser):
        raise malformed("join_authorised_via_users_server is not a user ID")
    check = _CHECKS.get(membership)
    if check is None or (membership == KNOCK and not rules.knocking):
        raise malformed(f"There is no membership {membership[:64]!r}")
    check(Change(rules, event, state, create, target, membership_in(state, target)))


def _check_join(change: Change) -> None:
    event, create = change.event, change.create
    if event.prev_events == (create.event_id,) and change.target in _first_joiner(change):
        return
    if change.sender != change.target:
        raise AuthError("Nobody can join for somebody else")
    if change.current is BAN:
        raise AuthError(f"{change.target} is banned from the room")
    rule = change.join_rule()
    if rule == "public":
        return
    if rule not in _join_rules(change.rules):
        raise AuthError("The join rule lets nobody in")
    if change.current in (INVITE, JOIN):
        return
    if rule not in _RESTRICTED:
        raise AuthError(f"{change.target} is not invited")
    _check_authoriser(change)


def _first_joiner(change: Change) -> frozenset[str]:
    """Who may join right after the create event: its one creator, or its sender."""
    if change.rules.privileged_creators:
        return frozenset((change.create.sender,))
    return creators(change.rules, change.create)


def _join_rules(rules: RoomVersion) -> tuple[str, ...]:
    """The join rules, besides ``public``, by which somebody can join in this room version."""
    if rules.knock_restricted_joins:
        return "invite", "knock", "restricted", "knock_restricted"
    if rules.restricted_joins:
        return "invite", "knock", "restricted"
    return ("invite", "knock") if rules.knocking else ("invite",)


def _check_authoriser(change: Change) -> None:
    """A restricted join needs a user in the room who could have invited (MSC3083)."""
    authoriser = change.event.content.get("join_authorised_via_users_server")
    if not isinstance(authoriser, str):
        raise AuthError(f"{change.target} is not invited, and nobody in the room vouches for the join")
    if membership_in(change.state, authoriser) is not JOIN:
        raise AuthError(f"{authoriser}, who vouches for the join, is not in the room")
    levels = change.levels()
    if levels.user(authoriser) < levels.invite:
        raise AuthError(f"{authoriser}, who vouches for the join, may not invite")


def _check_invite(change: Change) -> None:
    if "third_party_invite" in change.event.content:
        check_third_party_invite(change.event, change.state, banned=change.current is BAN)
        return
    _check_sender_is_in(change)
    if change.current in (JOIN, BAN):
        raise AuthError(f"{change.target} cannot be invited, being in the room or banned")
    levels = change.levels()
    if levels.user(change.sender) < levels.invite:
        raise AuthError(f"{change.sender} may not invite")


def _check_leave(change: Change) -> None:
    if change.sender == change.target:
        leavable = (INVITE, JOIN, KNOCK) if change.rules.knocking else (INVITE, JOIN)
        if change.current not in leavable:
            raise AuthError(f"{change.target} is not in the room")
        return
    _check_sender_is_in(change)
    levels = change.levels()
    own = levels.user(change.sender)
    if change.current is BAN and own < levels.ban:
        raise AuthError(f"{change.sender} may not unban")
    if own < levels.kick:
        raise AuthError(f"{change.sender} may not kick")
    _check_is_below(change, levels, own)


def _check_ban(change: Change) -> None:
    _check_sender_is_in(change)
    levels = change.levels()
    own = levels.user(change.sender)
    if own < levels.ban:
        raise AuthError(f"{change.sender} may not ban")
    _check_is_below(change, levels, own)


def _check_knock(change: Change) -> None:
    rule = change.join_rule()
    if rule != "knock" and not (rule == "knock_restricted" and change.rules.knock_restricted_joins):
        raise AuthError("The join rule does not let anybody knock")
    if change.sender != change.target:
        raise AuthError("Nobody can knock for somebody else")
    if change.current in (BAN, INVITE, JOIN):
        raise AuthError(f"{change.target} cannot knock, being in the room, invited or banned")


def _check_sender_is_in(change: Change) -> None:
    if membership_in(change.state, change.sender) is not JOIN:
        raise AuthError(f"{change.sender} is not in the room")


def _check_is_below(change: Change, levels: PowerLevels, own: int) -> None:
    if levels.user(change.target) >= own:
        raise AuthError(f"The level of {change.target} is not below that of {change.sender}")


_RESTRICTED = ("restricted", "knock_restricted")
_CHECKS: dict[str, Callable[[Change], None]] = {
    JOIN: _check_join,
    INVITE: _check_invite,
    LEAVE: _check_leave,
    BAN: _check_ban,
    KNOCK: _check_knock,
}
