"""What a request asks for, checked, and how the wishes of several rules for one room are combined."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from palpo.core.bounded_text import MAX_KEY, check_text
from palpo.core.errors import InvalidParam
from palpo.core.events import StateKey
from palpo.core.state_keys import MEMBER
from palpo.streams.turns import Turns
from palpo.sync.sliding.listing import ALL_ROOMS, RoomFilter
from palpo.wire.client import sliding_sync as wire

MAX_LISTS = 100
MAX_SUBSCRIPTIONS = 100
MAX_PATTERNS = 500
MAX_ALL_PATTERNS = 5000
"""Of all the rules of a request together: a room may match every one of them."""
MAX_TIMELINE_LIMIT = 100
MAX_RANGES = 100
ANY, ME, LAZY = "*", "$ME", "$LAZY"

Pattern: TypeAlias = tuple[str | None, str | None]
"""Event type and state key; None matches anything."""


class RequiredState(msgspec.Struct, frozen=True, array_like=True):
    """The state that one rule wants."""

    include: frozenset[Pattern] = frozenset()
    exclude: frozenset[Pattern] = frozenset()
    lazy: bool = False
    """Members come with the timeline; a pattern for every type leaves them out."""

    def matches(self, key: StateKey) -> bool:
        """Whether the state at ``key`` is wanted, members that are loaded lazily aside."""
        type_, state_key = key
        hit = key in self.include or (type_, None) in self.include or (None, state_key) in self.include
        hit = hit or ((None, None) in self.include and not (self.lazy and type_ == MEMBER))
        if not hit or not self.exclude:
            return hit
        forms = (key, (type_, None), (None, state_key), (None, None))
        return self.exclude.isdisjoint(forms)

    @property
    def size(self) -> int:
        """How many patterns there are."""
        return len(self.include) + len(self.exclude)

    @property
    def every_member(self) -> bool:
        """Whether all member events are wanted."""
        return (MEMBER, None) in self.include or ((None, None) in self.include and not self.lazy)


StateConfig: TypeAlias = frozenset[RequiredState]
"""What all the rules for a room want: whatever one of them wants."""


def wants_state(config: StateConfig, key: StateKey) -> bool:
    """Whether the state at ``key`` is wanted."""
    return any(rule.matches(key) for rule in config)


def lazy_members(config: StateConfig) -> bool:
    """Whether members come with the timeline: not where all of them are wanted anyway."""
    return any(rule.lazy for rule in config) and not any(rule.every_member for rule in config)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomConfig:
    """What is wanted of a room."""

    limit: int
    """Of the timeline."""
    state: StateConfig
    heroes: bool = True


NOTHING = RoomConfig(limit=0, state=frozenset(), heroes=False)


def combine(configs: Iterable[RoomConfig]) -> RoomConfig:
    """The superset (MSC4186, "Combining room configs")."""
    result = NOTHING
    for config in configs:
        result = RoomConfig(
            limit=max(result.limit, config.limit),
            state=result.state | config.state,
            heroes=result.heroes or config.heroes,
        )
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRule:
    """One list of a request; ``ranges`` None is the whole list."""

    name: str
    filter: RoomFilter
    ranges: tuple[tuple[int, int], ...] | None
    config: RoomConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class SlidingRequest:
    """What a connection asks for."""

    conn_id: str
    pos: str | None
    timeout_ms: int
    lists: tuple[ListRule, ...]
    subscriptions: dict[str, RoomConfig]
    extensions: wire.ExtensionConfigs

    @property
    def size(self) -> int:
        """About how many bytes it takes in memory."""
        configs = [*(rule.config for rule in self.lists), *self.subscriptions.values()]
        patterns = sum(rule.size for config in configs for rule in config.state)
        filters = sum(rule.filter.size for rule in self.lists)
        ranges = sum(len(rule.ranges or ()) for rule in self.lists)
        return 1500 + 1500 * len(configs) + 350 * patterns + 150 * (filters + ranges)

    def same_wishes(self, other: SlidingRequest) -> bool:
        """Whether both ask for the same, how far the device's messages are acknowledged aside."""
        return (
            self.lists == other.lists
            and self.subscriptions == other.subscriptions
            and msgspec.structs.replace(self.extensions, to_device=None)
            == msgspec.structs.replace(other.extensions, to_device=None)
        )


async def parse_request(
    user_id: str, params: wire.SlidingSyncParams, body: wire.SlidingSyncBody
) -> SlidingRequest:
    """The request, checked; raises InvalidParam."""
    lists, subscriptions = body.lists or {}, body.room_subscriptions or {}
    if len(lists) > MAX_LISTS:
        raise InvalidParam(f"There are more than {MAX_LISTS} lists")
    if len(subscriptions) > MAX_SUBSCRIPTIONS:
        raise InvalidParam(f"There are more than {MAX_SUBSCRIPTIONS} room subscriptions")
    timeout = body.timeout if params.timeout is None else params.timeout
    turns = Turns()
    request = SlidingRequest(
        conn_id=check_text(body.conn_id or "", "conn_id"),
        pos=params.pos or body.pos or None,
        timeout_ms=max(timeout or 0, 0),
        lists=tuple([_list_rule(user_id, name, item) async for name, item in turns.over(lists.items())]),
        subscriptions={
            check_text(room_id, "A room ID"): _room_config(user_id, item)
            async for room_id, item in turns.over(subscriptions.items())
        },
        extensions=body.extensions or wire.ExtensionConfigs(),
    )
    configs = [*(rule.config for rule in request.lists), *request.subscriptions.values()]
    if sum(rule.size for config in configs for rule in config.state) > MAX_ALL_PATTERNS:
        raise InvalidParam(f"All required_state together has more than {MAX_ALL_PATTERNS} elements")
    return request


def _list_rule(user_id: str, name: str, item: wire.SyncListConfig) -> ListRule:
    return ListRule(
        name=check_text(name, "A list's name"),
        filter=_filter(item.filters),
        ranges=_ranges(item),
        config=_room_config(user_id, item),
    )


def _ranges(item: wire.SyncListConfig) -> tuple[tuple[int, int], ...] | None:
    given = [item.range] if item.range is not None else item.ranges
    if given is None:
        return None
    if len(given) > MAX_RANGES:
        raise InvalidParam(f"There are more than {MAX_RANGES} ranges")
    if any(not 0 <= start <= end for start, end in given):
        raise InvalidParam("A range begins at 0 or later, and does not end before it begins")
    return _merged(given)


def _merged(ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """The same indexes in ranges that do not overlap, so that no room is looked at twice."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return tuple(merged)


def _room_config(user_id: str, item: wire.RoomSubscription) -> RoomConfig:
    if item.timeline_limit < 0:
        raise InvalidParam("timeline_limit is negative")
    return RoomConfig(
        limit=min(item.timeline_limit, MAX_TIMELINE_LIMIT),
        state=frozenset((_required_state(user_id, item.required_state),)),
        heroes=item.include_heroes is not False,
    )


def _required_state(
    user_id: str, given: wire.RequiredStateRequest | list[tuple[str, str]] | None
) -> RequiredState:
    if given is None:
        return RequiredState()
    if isinstance(given, list):
        return _from_pairs(user_id, given)
    return RequiredState(
        include=_patterns(user_id, [(item.type, item.state_key) for item in given.include or ()]),
        exclude=_patterns(user_id, [(item.type, item.state_key) for item in given.exclude or ()]),
        lazy=bool(given.lazy_members),
    )


def _from_pairs(user_id: str, pairs: list[tuple[str, str]]) -> RequiredState:
    """The older form: ``*`` is a wildcard, ``$LAZY`` as the state key of members loads them lazily."""
    lazy = (MEMBER, LAZY)
    wild = [
        (None if type_ == ANY else type_, None if state_key == ANY else state_key)
        for type_, state_key in pairs
        if (type_, state_key) != lazy
    ]
    return RequiredState(include=_patterns(user_id, wild), lazy=lazy in pairs)


def _patterns(user_id: str, given: Sequence[Pattern]) -> frozenset[Pattern]:
    if len(given) > MAX_PATTERNS:
        raise InvalidParam(f"required_state has more than {MAX_PATTERNS} elements")
    for pattern in given:
        _check_names(pattern, "required_state")
    return frozenset((type_, user_id if state_key == ME else state_key) for type_, state_key in given)


def _check_names(names: Iterable[str | None], what: str) -> None:
    """Raise InvalidParam for what is longer than anything that it could match."""
    if any(name is not None and len(name) > MAX_KEY for name in names):
        raise InvalidParam(f"{what} has an element of over {MAX_KEY} characters")


def _filter(given: wire.SlidingRoomFilter | None) -> RoomFilter:
    if given is None:
        return ALL_ROOMS
    lists = (given.spaces, given.room_types, given.not_room_types, given.tags, given.not_tags)
    names = [name for listed in lists for name in listed or ()]
    if len(names) > MAX_PATTERNS:
        raise InvalidParam(f"filters have more than {MAX_PATTERNS} elements")
    _check_names(names, "filters")
    return RoomFilter(
        dm=given.is_dm,
        spaces=None if given.spaces is None else frozenset(given.spaces),
        encrypted=given.is_encrypted,
        invited=given.is_invite if given.is_invited is None else given.is_invited,
        types=None if given.room_types is None else frozenset(given.room_types),
        not_types=frozenset(given.not_room_types or ()),
        tags=None if given.tags is None else frozenset(given.tags),
        not_tags=frozenset(given.not_tags or ()),
    )
