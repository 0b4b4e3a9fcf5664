"""Histories of forks and merges, sent in any order: the state in the end is the same."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palpo.core.admission import Missing
from palpo.core.records.events import EventStatus
from tests.support.histories import History
from tests.support.pure_servers import Server
from tests.support.remote_rooms import RemoteRoom


def received(history: History, order: list[int]) -> Server:
    """A server to which the events came as drawn; what rests on what is missing waits."""
    server = Server(history.room.rules.id)
    own = {event.event_id for event in history.events}
    for event in history.room.events.values():
        if event.event_id not in own:
            server.receive(event)
    waiting = [
        event for _, event in sorted(zip(order, history.events, strict=True), key=lambda item: item[0])
    ]
    while waiting:
        left = [event for event in waiting if isinstance(server.receive(event), Missing)]
        assert len(left) < len(waiting)
        waiting = left
    return server


@pytest.mark.parametrize("version", ["1", "2", "6", "11", "12"])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), data=st.data())
def test_the_state_in_the_end_is_the_same(version: str, seed: int, data: st.DataObject) -> None:
    history = History(RemoteRoom(version), Random(seed), 25)
    count = len(history.events)
    server = received(history, data.draw(st.permutations(range(count))))
    assert server.state == history.reference.state
    assert server.rejected == history.reference.rejected
    assert server.head.extremities == {history.events[-1].event_id}


def test_histories_have_what_they_are_to_show() -> None:
    """Otherwise the test above shows nothing."""
    forks, merges, soft_failed, rejected, redacted, resolved = 0, 0, 0, 0, 0, 0
    for seed in range(30):
        history = History(RemoteRoom(), Random(seed), 40)
        verdicts = history.reference.verdicts
        cited = [name for event in history.events for name in event.prev_events]
        forks += len(cited) - len(set(cited))
        merges += sum(len(event.prev_events) > 1 for event in history.events[:-1])
        soft_failed += sum(item.status is EventStatus.SOFT_FAILED for item in verdicts.values())
        rejected += len(history.reference.rejected)
        redacted += sum(event.redacts is not None for event in history.events)
        before = {verdicts[name].after for name in history.events[-1].prev_events}
        resolved += len(before) > 1
    assert min(forks, merges, soft_failed, rejected, redacted, resolved) >= 5
