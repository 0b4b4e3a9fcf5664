"""What becomes of an event that another server sends.

Spec: server-server API, "Checks performed on receipt of a PDU", from step 4 on.

Both operations are generators in the manner of ``core.driving``: they yield requests, each naming the type of
its answer, and read nothing themselves. A state goes by its root, which is only handed on here.

    judge      the verdict on one event, or what has to be fetched before there can be one
    advance    where a room's history ends once the event is in

``why_rejected`` is the part of it that needs no state.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from palpo.core.auth_rules import auth_types_for, check_auth, check_auth_events
from palpo.core.errors import AuthError
from palpo.core.events import Event, SignedEvent, StateKey
from palpo.core.records.events import Check, EventStatus, Refusal
from palpo.core.room_versions import RoomVersion
from palpo.core.state_keys import CREATE
from palpo.core.state_tree import EMPTY_ROOT

_T = TypeVar("_T")
MAX_REFUSED = 1000
"""Events that are looked at between an extremity and an event that comes after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedAuthEvents:
    """Answer: ``Mapping[str, tuple[Event, EventStatus]]``; events that are not known are left out."""

    event_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedRoots:
    """Answer: ``Mapping[str, bytes]``, the state after each event; those at which it is not known are left
    out."""

    event_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedResolution:
    """Answer: ``bytes``, the root of what different states come to."""

    roots: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedState:
    """Answer: ``Mapping[StateKey, Event]``, what is set of these in the state ``root``."""

    root: bytes
    keys: tuple[StateKey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedRootWith:
    """Answer: ``bytes``, the root of the state ``root`` once ``event_id`` is set at ``key``."""

    root: bytes
    key: StateKey
    event_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedRefused:
    """Answer: ``Mapping[str, Sequence[str]]``, of those that were not accepted, the events before them."""

    event_ids: tuple[str, ...]


Request = NeedRefused | NeedAuthEvents | NeedRoots | NeedResolution | NeedState | NeedRootWith
Admitting = Generator[Request, Any, _T]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where a room's history ends."""

    extremities: frozenset[str]
    """Accepted events that no accepted event refers to."""
    root: bytes
    """The current state: the resolution of the states after the extremities."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What an event is to be stored as."""

    status: EventStatus
    before: bytes
    after: bytes
    """The states around it; that after a rejected one is that before it."""
    refusal: Refusal | None = None
    """Why it was not accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """There can be no verdict before these are here: an event is not rejected for what is not known."""

    auth_events: tuple[str, ...] = ()
    prev_events: tuple[str, ...] = ()
    """Those at which the state is not known."""


def judge(
    rules: RoomVersion,
    event: SignedEvent,
    head: Head | None,
    told: bytes | None = None,
    *,
    partial: bool = False,
) -> Admitting[Verdict | Missing]:
    """The verdict on an event whose form, hashes and signatures have been checked.

    ``head`` is the room's, by which a new event may soft-fail; None for an event of the past, which was
    fetched. A create event has no state before it. ``told`` is the root of the state before the event as
    others tell it, which counts where the events before it are not all known. ``partial``: members are
    missing in the room's states (MSC3902). What is not set in one may be so: of that the event's own auth
    events are believed; and where they are at odds with what is set, the two are resolved.
    """
    auth: Mapping[str, tuple[Event, EventStatus]] = {}
    if event.auth_events:
        auth = yield NeedAuthEvents(event_ids=event.auth_events)
    missing = tuple(name for name in event.auth_events if name not in auth)
    before = yield from _state_before(event, told)
    if missing or isinstance(before, Missing):
        return Missing(
            auth_events=missing, prev_events=before.prev_events if isinstance(before, Missing) else ()
        )
    claimed: Mapping[StateKey, Event] = {}
    if partial:
        claimed = {item.key: item for item, status in auth.values() if status is not EventStatus.REJECTED}
    refusal = yield from _why_rejected(rules, event, auth, before, claimed)
    if refusal is not None:
        return Verdict(status=EventStatus.REJECTED, before=before, after=before, refusal=refusal)
    after = before
    if event.state_key is not None:
        after = yield NeedRootWith(root=before, key=event.key, event_id=event.event_id)
    if head is not None and head.root != before:
        reason = yield from _why_refused(rules, event, head.root, claimed)
        refusal = None if reason is None else Refusal(Check.CURRENT_STATE, reason)
    status = EventStatus.ACCEPTED if refusal is None else EventStatus.SOFT_FAILED
    return Verdict(status=status, before=before, after=after, refusal=refusal)


def soft_failed(verdict: Verdict, refusal: Refusal) -> Verdict:
    """The verdict on an event that is not to be shown, by ``refusal``, even if the rules let it in."""
    if verdict.status is not EventStatus.ACCEPTED:
        return verdict
    return replace(verdict, status=EventStatus.SOFT_FAILED, refusal=refusal)


def advance(head: Head, event: SignedEvent, verdict: Verdict) -> Admitting[Head]:
    """The room's head once the event is in, which only an accepted one moves."""
    if verdict.status is not EventStatus.ACCEPTED:
        return head
    ends = yield from _not_before(event, head.extremities)
    extremities = ends | {event.event_id}
    others = tuple(sorted(extremities - {event.event_id}))
    roots: Mapping[str, bytes] = {}
    if others:
        roots = yield NeedRoots(event_ids=others)
    root = yield from _resolved([verdict.after, *roots.values()])
    return Head(extremities=extremities, root=root)


def _not_before(event: SignedEvent, extremities: frozenset[str]) -> Admitting[frozenset[str]]:
    """Those of the extremities that the event does not come after, by way of what was refused neither."""
    left = extremities.difference(event.prev_events)
    seen = set(event.prev_events)
    waiting = tuple(event.prev_events)
    while left and waiting and len(seen) < MAX_REFUSED:
        found: Mapping[str, Sequence[str]] = yield NeedRefused(event_ids=waiting)
        waiting = tuple({name for names in found.values() for name in names} - seen)
        seen.update(waiting)
        left = left.difference(waiting)
    return left


def _state_before(event: SignedEvent, told: bytes | None) -> Admitting[bytes | Missing]:
    if not event.prev_events:
        return EMPTY_ROOT
    roots: Mapping[str, bytes] = yield NeedRoots(event_ids=event.prev_events)
    missing = tuple(name for name in event.prev_events if name not in roots)
    if missing:
        return Missing(prev_events=missing) if told is None else told
    return (yield from _resolved([roots[name] for name in event.prev_events]))


def _resolved(roots: Iterable[bytes]) -> Admitting[bytes]:
    different = tuple(dict.fromkeys(roots))
    if len(different) == 1:
        return different[0]
    root: bytes = yield NeedResolution(roots=different)
    return root


def _why_rejected(
    rules: RoomVersion,
    event: SignedEvent,
    auth: Mapping[str, tuple[Event, EventStatus]],
    before: bytes,
    claimed: Mapping[StateKey, Event],
) -> Admitting[Refusal | None]:
    """Steps 4 and 5: by its auth events, and by the state before it."""
    create: Mapping[StateKey, Event] = {}
    if rules.create_event_is_room_id and event.type != CREATE[0]:
        create = yield NeedState(root=before, keys=(CREATE,))
    refusal = why_rejected(rules, event, auth, create.get(CREATE))
    if refusal is not None or event.type == CREATE[0]:
        return refusal
    reason = yield from _why_refused(rules, event, before, claimed)
    return None if reason is None else Refusal(Check.STATE_BEFORE, reason)


def why_rejected(
    rules: RoomVersion,
    event: SignedEvent,
    auth: Mapping[str, tuple[Event, EventStatus]],
    create: Event | None,
) -> Refusal | None:
    """Why an event is rejected by its own auth events, all of which ``auth`` has; None where it is not.

    ``create`` is the room's create event, in the versions where it is the room and in no list.
    """
    rejected = {name for name, (_, status) in auth.items() if status is EventStatus.REJECTED}
    try:
        state = check_auth_events(rules, event, [auth[name][0] for name in event.auth_events], rejected)
        if create is not None:
            state[CREATE] = create
        check_auth(rules, event, state)
    except AuthError as error:
        return Refusal(Check.AUTH_EVENTS, error.message)
    return None


def _why_refused(
    rules: RoomVersion, event: SignedEvent, root: bytes, claimed: Mapping[StateKey, Event]
) -> Admitting[str | None]:
    """Why the state ``root``, with what is ``claimed`` of what is not set in it, does not allow the event."""
    keys = tuple(_bearing(rules, event))
    state: Mapping[StateKey, Event] = yield NeedState(root=root, keys=keys)
    reason = _refusal(rules, event, {**claimed, **state})
    at_odds = {
        key: item for key, item in claimed.items() if key in state and state[key].event_id != item.event_id
    }
    if reason is None or not at_odds:
        return reason
    other = root
    for key, item in at_odds.items():
        other = yield NeedRootWith(root=other, key=key, event_id=item.event_id)
    both: bytes = yield NeedResolution(roots=(root, other))
    resolved: Mapping[StateKey, Event] = yield NeedState(root=both, keys=keys)
    return _refusal(rules, event, {**claimed, **resolved})


def _refusal(rules: RoomVersion, event: SignedEvent, state: Mapping[StateKey, Event]) -> str | None:
    try:
        check_auth(rules, event, state)
    except AuthError as error:
        return error.message
    return None


def _bearing(rules: RoomVersion, event: SignedEvent) -> Collection[StateKey]:
    keys = auth_types_for(
        rules, type=event.type, sender=event.sender, state_key=event.state_key, content=event.content
    )
    return dict.fromkeys([CREATE, *keys])
