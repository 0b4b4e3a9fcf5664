"""Events before others: their order, and where a gap is.

Everything here is by ``prev_events``, and order by ``auth_events`` too. In room versions 1 and 2, whose IDs
are chosen, others can make events that come before themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from heapq import heappop, heappush

from palpo.core.events import SignedEvent


def in_order(events: Iterable[SignedEvent]) -> list[SignedEvent]:
    """The events, each once and after those of them that it refers to; else as they came.

    Those that come before themselves are left out, and what comes after these.
    """
    given = {event.event_id: event for event in events}
    names = list(given)
    lacking: list[int] = []
    after: dict[str, list[int]] = {}
    for number, event in enumerate(given.values()):
        needed = {other for other in (*event.prev_events, *event.auth_events) if other in given}
        lacking.append(len(needed))
        for other in needed:
            after.setdefault(other, []).append(number)
    ready = [number for number, count in enumerate(lacking) if not count]
    ordered: list[SignedEvent] = []
    while ready:
        name = names[heappop(ready)]
        ordered.append(given[name])
        for number in after.get(name, ()):
            lacking[number] -= 1
            if not lacking[number]:
                heappush(ready, number)
    return ordered


def history_of(event: SignedEvent, others: Mapping[str, SignedEvent]) -> dict[str, SignedEvent]:
    """The event, and those of ``others`` that come before it with none left out between."""
    found = {event.event_id: event}
    waiting = [event]
    while waiting:
        for name in waiting.pop().prev_events:
            if name in others and name not in found:
                found[name] = others[name]
                waiting.append(others[name])
    return found


def edges(events: Mapping[str, SignedEvent], known: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Those of ``events`` that follow something which is neither among them nor ``known``: what that is."""
    found: dict[str, tuple[str, ...]] = {}
    for name, event in events.items():
        missing = tuple(other for other in event.prev_events if other not in events and other not in known)
        if missing:
            found[name] = missing
    return found


def resting_on(events: Iterable[SignedEvent], names: Collection[str]) -> set[str]:
    """Those of ``events``, which are in order, that refer to one of ``names``, or to one that does."""
    found: set[str] = set()
    for event in events:
        refers = (*event.prev_events, *event.auth_events)
        if any(name in names or name in found for name in refers):
            found.add(event.event_id)
    return found
