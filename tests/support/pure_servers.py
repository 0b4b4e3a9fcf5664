"""A server's view of one room, in memory: the core by itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from palpo.core.admission import (
    Head,
    Missing,
    NeedAuthEvents,
    NeedRefused,
    NeedResolution,
    NeedRoots,
    NeedRootWith,
    NeedState,
    Request,
    Verdict,
    advance,
    judge,
)
from palpo.core.driving import drive
from palpo.core.events import SignedEvent, StateKey
from palpo.core.records.events import EventStatus
from palpo.core.room_versions import room_version
from palpo.core.state_resolution import resolve_states
from palpo.core.state_tree import EMPTY_ROOT

State = Mapping[StateKey, str]


class Server:
    """A server's view of one room: what it was sent, in the order in which it came."""

    def __init__(self, version: str = "11") -> None:
        self.rules = room_version(version)
        self.events: dict[str, SignedEvent] = {}
        self.verdicts: dict[str, Verdict] = {}
        self.states: dict[bytes, State] = {EMPTY_ROOT: {}}
        self.head = Head(extremities=frozenset(), root=EMPTY_ROOT)

    @property
    def state(self) -> State:
        return self.states[self.head.root]

    @property
    def rejected(self) -> set[str]:
        return {name for name, item in self.verdicts.items() if item.status is EventStatus.REJECTED}

    def receive(self, event: SignedEvent, *, past: bool = False) -> Verdict | Missing:
        verdict = drive(judge(self.rules, event, None if past else self.head), self._answer)
        if isinstance(verdict, Verdict):
            self.events[event.event_id] = event
            self.verdicts[event.event_id] = verdict
            if not past:
                self.head = drive(advance(self.head, event, verdict), self._answer)
        return verdict

    def status(self, event: SignedEvent) -> EventStatus:
        verdict = self.receive(event)
        assert isinstance(verdict, Verdict), verdict
        return verdict.status

    def _answer(self, request: Request) -> Any:
        match request:
            case NeedAuthEvents():
                known = [name for name in request.event_ids if name in self.events]
                return {name: (self.events[name], self.verdicts[name].status) for name in known}
            case NeedRefused():
                refused = [
                    name
                    for name in request.event_ids
                    if name in self.verdicts and self.verdicts[name].status is not EventStatus.ACCEPTED
                ]
                return {name: self.events[name].prev_events for name in refused}
            case NeedRoots():
                known = [name for name in request.event_ids if name in self.verdicts]
                return {name: self.verdicts[name].after for name in known}
            case NeedResolution():
                sets = [self.states[root] for root in request.roots]
                rejected = {
                    name for name, item in self.verdicts.items() if item.status is EventStatus.REJECTED
                }
                return self._root(resolve_states(self.rules, sets, self.events, rejected))
            case NeedState():
                state = self.states[request.root]
                return {key: self.events[state[key]] for key in request.keys if key in state}
            case NeedRootWith():
                return self._root({**self.states[request.root], request.key: request.event_id})

    def _root(self, state: State) -> bytes:
        root = repr(sorted(state.items())).encode()
        self.states[root] = state
        return root

    def state_after(self, names: Iterable[str]) -> State:
        """What the states after events that were received come to."""
        roots = list(dict.fromkeys(self.verdicts[name].after for name in names))
        return self.states[roots[0] if len(roots) == 1 else self._answer(NeedResolution(roots=tuple(roots)))]
