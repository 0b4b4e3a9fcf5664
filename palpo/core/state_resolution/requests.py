"""What state resolution asks for, one question at a time (see the package's docstring)."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from palpo.core.events import SignedEvent, StateKey

_T = TypeVar("_T")
Conflicts = tuple[Mapping[StateKey, str], ...]
"""For each state set, its event IDs at the conflicted keys; absent where the set lacks the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedEvents:
    """Answer: ``Mapping[str, SignedEvent]``; events that are not known are left out."""

    event_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedRejected:
    """Answer: ``Collection[str]``, those of the events that were rejected."""

    event_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedState:
    """Answer: ``Mapping[StateKey, str]``, event IDs of the unconflicted state, as far as set.

    Only keys that are not conflicted are asked for, so any of the state sets can answer.
    """

    keys: tuple[StateKey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedAuthDifference:
    """Answer: ``Collection[str]``, the events in some but not all of the sets' auth chains.

    A set's auth chain includes the set's own events here, see ``v2``.
    """

    state_sets: tuple[frozenset[str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedUnconflictedAncestors:
    """Answer: ``Collection[str]``, the candidates that the whole unconflicted state rests on.

    That is, those in the unconflicted state or in the auth chain of one of its events. Rare: asked
    only if the cheap ways to settle it did not.
    """

    candidates: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedSubgraph:
    """Answer: ``Collection[str]``, the events on auth paths between any two of these events."""

    event_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Pause:
    """Answer: anything. Nothing is needed; there is more to do, and others may have their turn."""


Request = (
    NeedEvents
    | NeedRejected
    | NeedState
    | NeedAuthDifference
    | NeedUnconflictedAncestors
    | NeedSubgraph
    | Pause
)
Resolving = Generator[Request, Any, _T]
STEP = 100
"""Events that are worked on between two pauses."""
PAUSE = Pause()


def paused(number: int) -> Resolving[None]:
    """Pause before the event of that number, where it is time for it."""
    if number % STEP == STEP - 1:
        yield PAUSE


class Known:
    """The events that a resolution has been given so far; each is asked for once."""

    def __init__(self) -> None:
        self._events: dict[str, SignedEvent] = {}
        self._asked: set[str] = set()

    def events(self, event_ids: Iterable[str]) -> Resolving[dict[str, SignedEvent]]:
        """Those of the events that exist, by ID, in the order given."""
        wanted = list(dict.fromkeys(event_ids))
        missing = tuple(event_id for event_id in wanted if event_id not in self._asked)
        if missing:
            answer: Mapping[str, SignedEvent] = yield NeedEvents(event_ids=missing)
            self._asked.update(missing)
            self._events.update({event_id: answer[event_id] for event_id in missing if event_id in answer})
        return {event_id: self._events[event_id] for event_id in wanted if event_id in self._events}


def unconflicted(
    keys: Iterable[StateKey], conflicted: Collection[StateKey]
) -> Resolving[dict[StateKey, str]]:
    """What the unconflicted state has at ``keys``; conflicted keys are left out."""
    wanted = tuple(dict.fromkeys(key for key in keys if key not in conflicted))
    if not wanted:
        return {}
    answer: Mapping[StateKey, str] = yield NeedState(keys=wanted)
    return {key: answer[key] for key in wanted if key in answer}
