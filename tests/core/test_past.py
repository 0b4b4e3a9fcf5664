"""What can be taken in of what is told of the past."""

from __future__ import annotations

from palpo.core.events import SignedEvent
from palpo.core.past import stretch, unchanged
from tests.support.remote_rooms import RemoteRoom
from tests.support.remote_users import BOB

MESSAGE = "m.room.message"


def say(room: RemoteRoom, body: str, *after: SignedEvent) -> SignedEvent:
    return room.event(BOB, MESSAGE, {"body": body}, after=tuple(event.event_id for event in after))


def topic(room: RemoteRoom, *after: SignedEvent) -> SignedEvent:
    return room.event(BOB, ("m.room.topic", ""), {"topic": "t"}, after=tuple(item.event_id for item in after))


def named(*events: SignedEvent) -> dict[str, SignedEvent]:
    return {event.event_id: event for event in events}


def line(room: RemoteRoom, length: int) -> list[SignedEvent]:
    first = list(room.events.values())[-1]
    found = [say(room, "0", first)]
    for number in range(1, length):
        found.append(say(room, f"{number}", found[-1]))
    return found


def test_a_line_rests_on_its_first_event() -> None:
    events = line(RemoteRoom(), 5)
    found = stretch(named(*events), [events[-1].event_id], ())
    assert list(found.events) == events
    assert found.rests_on == events[0].event_id


def test_what_is_known_ends_it() -> None:
    room = RemoteRoom()
    events = line(room, 5)
    found = stretch(named(*events), [events[-1].event_id], {events[1].event_id})
    assert list(found.events) == events[2:]
    assert found.rests_on is None
    whole = stretch(room.events, [events[-1].event_id], ())
    assert list(whole.events)[-5:] == events
    assert len(whole.events) == len(room.events)
    assert whole.rests_on is None


def test_what_is_not_reached_is_left_out() -> None:
    room = RemoteRoom()
    events = line(room, 5)
    del room.events[events[1].event_id]
    found = stretch(room.events, [events[-1].event_id], ())
    assert list(found.events) == events[2:]
    assert found.rests_on == events[2].event_id
    assert list(stretch(room.events, ["$other"], ()).events) == []


def test_forks_rest_on_where_they_meet() -> None:
    room = RemoteRoom()
    base, top = line(room, 2)
    one, other = say(room, "one", top), say(room, "other", top)
    merge = say(room, "merge", one, other)
    last = say(room, "last", merge)
    whole = named(base, top, one, other, merge, last)
    found = stretch(whole, [last.event_id], ())
    assert found.rests_on == base.event_id
    assert {event.event_id for event in found.events} == set(whole)
    # Of one side the beginning is not told: both would have to be asked about.
    other_side = say(room, "more", say(room, "far", base))
    merge = say(room, "merge", one, other_side)
    found = stretch(named(top, one, other_side, merge), [merge.event_id], ())
    assert list(found.events) == [merge]
    assert found.rests_on == merge.event_id


def test_several_starts() -> None:
    room = RemoteRoom()
    base, top = line(room, 2)
    one, other = say(room, "one", top), say(room, "other", top)
    starts = [one.event_id, other.event_id]
    found = stretch(named(base, top, one, other), starts, ())
    assert found.rests_on == base.event_id
    assert len(found.events) == 4
    far = say(room, "far", say(room, "not told", base))
    found = stretch(named(one, far), [one.event_id, far.event_id], ())
    assert list(found.events) == [one]
    assert found.rests_on == one.event_id


def test_states_that_nothing_changes() -> None:
    room = RemoteRoom()
    events = line(room, 3)
    change = topic(room, events[-1])
    after = [say(room, "after", change)]
    after.append(say(room, "last", after[0]))
    given = named(*events, change, *after)
    found = unchanged(given, {after[-1].event_id: b"x"})
    assert found == {event.event_id: b"x" for event in after}
    assert unchanged(given, {change.event_id: b"x"}) == {}
    fork = say(room, "fork", events[0], events[1])
    found = unchanged(named(*events, fork), {fork.event_id: b"y"})
    assert found == {fork.event_id: b"y"}
