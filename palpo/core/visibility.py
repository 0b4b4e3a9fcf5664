"""Who may see an event (spec: client-server API, "Room history visibility").

The rules look at the room's state *at the event*. That is one value each of history visibility and of
the user's membership, except for the events that change these very things: a visibility event counts
with the value before it and with its own, and so does the user's own membership event. A ``Sight`` holds
those values, one or two of each; either of two suffices.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from palpo.core.events import Event, StateKey
from palpo.core.membership import INVITE, JOIN, membership_of
from palpo.core.state_keys import HISTORY_VISIBILITY, JOIN_RULES

DEFAULT_VISIBILITY: Final = "shared"
"""Where the room has set none, or one that is not understood."""
_VISIBILITIES: Final = frozenset(("world_readable", "shared", "invited", "joined"))


class Sight(msgspec.Struct, frozen=True, gc=False):
    """What decides whether one user sees one event."""

    visibilities: tuple[str, ...]
    """History visibility at the event: one value, or those before and after a change of it."""
    memberships: tuple[str | None, ...]
    """The user's membership at the event: one value, or those before and after the user's own change."""


def visibility_of(event: Event | None) -> str:
    """The history visibility that an ``m.room.history_visibility`` event sets, or the default."""
    value = None if event is None else event.content.get("history_visibility")
    return value if isinstance(value, str) and value in _VISIBILITIES else DEFAULT_VISIBILITY


def is_public(state: Mapping[StateKey, Event]) -> bool:
    """Whether anybody may find out who is in a room, by JOIN_RULES and HISTORY_VISIBILITY in ``state``."""
    rules = state.get(JOIN_RULES)
    return visibility_of(state.get(HISTORY_VISIBILITY)) == "world_readable" or (
        rules is not None and rules.content.get("join_rule") == "public"
    )


def sight_of(event: Event, user_id: str, before: Mapping[StateKey, Event]) -> Sight:
    """What decides whether ``user_id`` sees ``event``.

    ``before`` is the room's state before the event; only the history visibility and the user's
    membership are looked up in it.
    """
    visibilities: tuple[str, ...] = (visibility_of(before.get(HISTORY_VISIBILITY)),)
    member_key = ("m.room.member", user_id)
    memberships: tuple[str | None, ...] = (membership_of(before.get(member_key)),)
    if event.state_key is not None:
        if event.key == HISTORY_VISIBILITY:
            visibilities = (*visibilities, visibility_of(event))
        elif event.key == member_key:
            memberships = (*memberships, membership_of(event))
    return Sight(visibilities, memberships)


def can_see(sight: Sight, *, joined_after: bool) -> bool:
    """Whether the user may see the event.

    ``joined_after`` says whether the user was in the room at any point after the event was sent: is in
    it now, or left it later than that.
    """
    if "world_readable" in sight.visibilities or JOIN in sight.memberships:
        return True
    if joined_after and "shared" in sight.visibilities:
        return True
    return INVITE in sight.memberships and "invited" in sight.visibilities


def server_can_see(visibilities: Iterable[str], memberships: Iterable[str | None]) -> bool:
    """Whether a server in the room may have an event in full: whether one of its users might see it.

    ``memberships`` are those of the server's users at the event, ``visibilities`` as in ``Sight``.
    """
    allowed = {JOIN}
    for visibility in visibilities:
        if visibility in ("world_readable", "shared"):
            return True
        if visibility == "invited":
            allowed.add(INVITE)
    return not allowed.isdisjoint(memberships)
