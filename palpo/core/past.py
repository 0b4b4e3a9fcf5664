"""Which of the events that another server has told of the past can be taken in, and over which states.

Everything here is by ``prev_events``. An event can be judged where the state before it is known: because all
events before it are known, because nothing was set between it and one of which it is known, or because it is
asked for. To ask once is to be enough, so what is taken rests on one event alone, or on what is known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from palpo.core.events import SignedEvent
from palpo.core.missing import in_order


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Events that can be taken in together."""

    events: Sequence[SignedEvent]
    """The oldest first, each after those that it refers to."""
    rests_on: str | None = None
    """Of them, the one before which the state has to be told; None where it follows from what is known."""


def stretch(events: Mapping[str, SignedEvent], starts: Sequence[str], known: Collection[str]) -> Stretch:
    """As many as can be of ``events`` that are ``starts`` or come before them.

    Where the starts come from different histories, it is that of the first.
    """
    found = _before(starts, events, known)
    whole = in_order(found.values())
    newest_first = whole[::-1]
    waiting = {name for name in starts if name in found}
    last: int | None = None
    for index, event in enumerate(newest_first):
        if waiting == {event.event_id}:
            last = index
        waiting.discard(event.event_id)
        waiting.update(name for name in event.prev_events if name not in known)
    if not waiting:
        return Stretch(events=whole)
    if last is None:
        return stretch(events, starts[:1], known) if len(starts) > 1 else Stretch(events=())
    return Stretch(events=newest_first[last::-1], rests_on=newest_first[last].event_id)


def unchanged(events: Mapping[str, SignedEvent], after: Mapping[str, bytes]) -> dict[str, bytes]:
    """For events between which nothing was set, the root of the state before each of them.

    ``after`` has the roots after some.
    """
    found: dict[str, bytes] = {}
    for start, root in after.items():
        name = start
        while name in events and name not in found and not events[name].is_state:
            found[name] = root
            before = events[name].prev_events
            name = before[0] if len(before) == 1 else ""
    return found


def _before(
    starts: Iterable[str], events: Mapping[str, SignedEvent], known: Collection[str]
) -> dict[str, SignedEvent]:
    """The ``starts``, and what comes before them with nothing left out between."""
    found: dict[str, SignedEvent] = {}
    waiting = list(starts)
    while waiting:
        name = waiting.pop()
        if name in events and name not in found and name not in known:
            found[name] = events[name]
            waiting += events[name].prev_events
    return found
