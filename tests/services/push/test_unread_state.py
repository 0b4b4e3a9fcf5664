"""What is unread, beside a list of every event that does the same slowly."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from palpo.services.push.unread_state import MAX_UNREAD, UNTHREADED, UnreadState, decoded

THREADS = st.sampled_from(["main", "$a", "$b"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), THREADS, st.booleans()),
        st.tuples(st.just("mark"), THREADS | st.just(UNTHREADED), st.integers(0, 60)),
        st.tuples(st.just("forget"), st.just(""), st.integers(0, 60)),
        st.tuples(st.just("store"), st.just(""), st.just(0)),
    ),
    max_size=60,
)


@given(STEPS)
def test_counts_are_those_of_a_list_of_everything(steps: list[tuple[str, str, int]]) -> None:
    state, position = UnreadState(), 0
    unread: list[tuple[int, str, bool]] = []
    for step, thread, value in steps:
        if step == "add":
            position += 1 + value
            if not state.is_read(thread, position):
                state.add(thread, position, highlight=bool(value))
                unread.append((position, thread, bool(value)))
        elif step == "mark":
            state.mark(thread, value)
            unread = [item for item in unread if item[0] > value or thread not in (UNTHREADED, item[1])]
        elif step == "forget":
            state.forget(value)
            unread = [item for item in unread if item[0] != value]
        else:
            stored = decoded(state.encoded())
            assert stored is not None
            state = stored.copy()
        names = {item[1] for item in unread}
        assert state.counts() == {
            name: (
                sum(item[1] == name for item in unread),
                sum(item[1] == name and item[2] for item in unread),
            )
            for name in names
        }
        assert state.size == len(unread)
        assert state.oldest() == min((item[0] for item in unread), default=None)


def test_a_copy_is_another() -> None:
    state = UnreadState()
    state.add("main", 1, highlight=True)
    other = state.copy()
    other.add("main", 2, highlight=False)
    other.mark("$a", 3)
    assert (state.counts(), state.marks) == ({"main": (1, 1)}, {})


def test_the_newest_are_counted_and_what_is_stored_is_small() -> None:
    state = UnreadState()
    for position in range(MAX_UNREAD + 100):
        state.add("main" if position % 2 else f"${position % 7}", position * 3, highlight=position % 10 == 0)
    assert state.size == MAX_UNREAD
    assert state.oldest() == 300
    assert len(state.encoded()) < 4 * MAX_UNREAD


def test_what_an_older_version_stored_is_not_read() -> None:
    assert decoded(b'[7,{"main":1},[[3,"main",false]],{},0,0]') is None


def test_positions_may_grow_beyond_32_bits() -> None:
    state = UnreadState()
    for position in (1, 1 << 31, (1 << 32) - 1):
        state.add("main", position, highlight=True)
    assert state.position_bytes == 6 * 4
    state.add("main", 1 << 32, highlight=False)
    state.add("main", 1 << 60, highlight=True)
    assert state.counts() == {"main": (5, 4)}
    restored = decoded(state.encoded())
    assert restored is not None
    assert restored.counts() == state.counts()
    state.mark("main", 1 << 32)
    assert state.counts() == {"main": (1, 1)}
    again = decoded(state.encoded())
    assert again is not None
    assert again.oldest() == 1 << 60
