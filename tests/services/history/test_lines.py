"""What waits for the room writer."""

from __future__ import annotations

from palpo.services.history.lines import Lines


def lines(waiting: str) -> Lines[str]:
    """``a1b1a2`` has two in the line ``a``, and one in ``b``."""
    made: Lines[str] = Lines(is_alone=lambda item: False)
    for at in range(0, len(waiting), 2):
        made.add(waiting[at], waiting[at : at + 2])
    return made


def test_of_a_line_nothing_is_taken_until_what_was_taken_is_done() -> None:
    waiting = lines("a1b1a2")
    assert waiting.take(5) == ("a", ["a1", "a2"])
    waiting.add("a", "a3")
    assert waiting.take(5) == ("b", ["b1"])
    assert not waiting
    waiting.done("a")
    assert waiting.take(5) == ("a", ["a3"])
    waiting.done("a")
    waiting.done("b")
    assert not waiting
    waiting.add("a", "a4")
    assert waiting.take(5) == ("a", ["a4"])


def test_lines_take_turns_and_what_is_taken_again_is_first() -> None:
    waiting = lines("a1a2a3b1")
    assert waiting.take(1) == ("a", ["a1"])
    waiting.done("a")
    assert waiting.take(2) == ("b", ["b1"])
    assert waiting.take(2) == ("a", ["a2", "a3"])
    waiting.add("a", "a4")
    waiting.done("a", ["a3"])
    assert waiting.take(2) == ("a", ["a3", "a4"])


def test_all_that_waits_is_drained() -> None:
    waiting = lines("a1a2b1c1")
    waiting.take(1)
    assert waiting.drain() == ["a2", "b1", "c1"]
    assert not waiting
    waiting.add("b", "b2")
    assert waiting.take(5) == ("b", ["b2"])
    waiting.done("a")
    assert waiting.drain() == []
