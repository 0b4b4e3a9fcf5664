"""What a server is still to be told of, in memory."""

from __future__ import annotations

from palpo.core.identifiers import ServerName
from palpo.services.federation.sending.destination_queue import (
    FIRST_PAUSE_MS,
    HEARD_PAUSE_MS,
    LONGEST_PAUSE_MS,
    MAX_EVENTS,
    MAX_EVENTS_FAILING,
    MAX_PDUS,
    MAX_WAITING_EDUS,
    DestinationQueue,
    Edu,
    Health,
    Outgoing,
)

NAME = ServerName("a.example")
NOW = 1_000_000
TYPING = Edu.of("m.typing", {})


def queue(*positions: int) -> DestinationQueue:
    made = DestinationQueue(server_name=NAME)
    for position in positions:
        made.add_event((position, f"${position}"), NOW)
    return made


def sending(item: DestinationQueue, *, edus: int = 0, acked: int | None = None) -> None:
    """Have the first events on their way."""
    events = item.next_events()
    item.sending = Outgoing(
        transaction_id="1",
        event_ids=[name for _, name in events],
        edus=[TYPING] * edus,
        acked=events[-1][0] if events and acked is None else acked,
        ts=NOW,
    )


def fail(item: DestinationQueue, times: int = 1) -> None:
    for _ in range(times):
        item.failed(NOW, "no", share=1)


def test_what_arrived_is_not_told_again() -> None:
    item = queue(10, 20)
    assert item.acked == 9
    sending(item)
    item.add_event((30, "$30"), NOW)
    item.acknowledged()
    assert item.next_events() == [(30, "$30")]
    assert item.acked == 29
    sending(item)
    item.acknowledged()
    assert item.idle
    item.add_event((30, "$30"), NOW)
    assert item.idle, "it has been told"


def test_too_many_events_are_left_to_the_database() -> None:
    item = queue(*range(1, MAX_EVENTS + 2))
    assert (item.acked, item.gap, list(item.events)) == (0, MAX_EVENTS + 1, [])
    assert item.health is Health.CATCHING_UP
    item.add_event((5000, "$5000"), NOW)
    item.caught_up(50)
    assert item.gap is not None
    item.caught_up(MAX_EVENTS + 1)
    assert (item.acked, item.gap) == (4999, None)


def test_fewer_are_kept_for_one_that_does_not_answer() -> None:
    item = queue(1)
    sending(item)
    fail(item)
    for position in range(2, MAX_EVENTS_FAILING + 2):
        item.add_event((position, f"${position}"), NOW)
    assert (item.acked, item.gap, item.sending) == (0, MAX_EVENTS_FAILING + 1, None)


def test_pauses_grow_and_end() -> None:
    item = queue(1)
    pauses = []
    for _ in range(20):
        fail(item)
        pauses.append(item.retry_ts - NOW)
    assert pauses[:3] == [FIRST_PAUSE_MS, 2 * FIRST_PAUSE_MS, 4 * FIRST_PAUSE_MS]
    assert pauses[-1] == LONGEST_PAUSE_MS
    assert item.health is Health.FAILING
    item.failed(NOW, "later", share=1, at_least_ms=5 * LONGEST_PAUSE_MS)
    assert item.retry_ts - NOW == 5 * LONGEST_PAUSE_MS
    item.heard_from()
    assert item.retry_ts == NOW + HEARD_PAUSE_MS
    fail(item)
    assert item.retry_ts - NOW == 2 * FIRST_PAUSE_MS
    item.acknowledged()
    assert item.health is Health.HEALTHY


def test_edus_that_may_be_lost() -> None:
    item = queue()
    for number in range(MAX_WAITING_EDUS + 5):
        item.add_edu(number, Edu.of("m.typing", {"number": number}))
    item.add_edu(10, Edu.of("m.typing", {"number": "new"}))
    assert len(item.edus) == MAX_WAITING_EDUS
    taken = item.take_edus(MAX_WAITING_EDUS)
    assert taken[0].json == b'{"content":{"number":5},"edu_type":"m.typing"}'
    assert taken[-1].json == b'{"content":{"number":"new"},"edu_type":"m.typing"}'
    item.add_edu(1, TYPING)
    fail(item, 3)
    item.add_edu(1, TYPING)
    assert item.idle


def test_what_is_refused_is_halved_until_it_is_found() -> None:
    item = queue(1, 2, 3, 4)
    sizes = []
    while True:
        sending(item)
        assert item.sending is not None
        sizes.append(item.sending.size)
        if not item.refused():
            break
    assert sizes == [4, 2, 1]
    assert item.next_events()[0] == (2, "$2")
    assert item.most == MAX_PDUS


def test_what_is_stored() -> None:
    item = queue()
    assert item.stored_as(NOW, upto=5, slow_ms=10) is None
    item = queue(7)
    assert item.stored_as(NOW, upto=9, slow_ms=10) is None
    row = item.stored_as(NOW + 11, upto=9, slow_ms=10)
    assert row is not None, "it takes long"
    assert (row.sent_upto, row.failures) == (6, 0)
    item.row = row
    assert item.stored_as(NOW, upto=9, slow_ms=10) is not None, "others do not wait for it"
    fail(item)
    row = item.stored_as(NOW, upto=9, slow_ms=10)
    assert row is not None
    assert (row.sent_upto, row.failures, row.error) == (6, 1, "no")
    sending(item)
    item.acknowledged()
    assert item.stored_as(NOW, upto=9, slow_ms=10) is None
    lost = queue()
    lost.add_edu(1, TYPING)
    fail(lost, 3)
    row = lost.stored_as(NOW, upto=9, slow_ms=10)
    assert row is not None
    assert row.sent_upto == 9
    lost.row = row
    assert lost.stored_as(lost.retry_ts, upto=9, slow_ms=10) is None, "there is nothing to tell it"


def test_after_a_restart() -> None:
    item = queue(7, 8)
    fail(item, 4)
    row = item.stored_as(NOW, upto=9, slow_ms=10)
    assert row is not None
    again = DestinationQueue.of(row, 20)
    assert (again.acked, again.gap, again.failures, again.retry_ts) == (6, 20, 4, 0)
    assert DestinationQueue.of(row, 6).gap is None
