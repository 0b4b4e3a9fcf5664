"""The words that users are found by, and the text that is stored."""

from __future__ import annotations

import pytest

from palpo.core.bounded_text import check_text
from palpo.core.errors import InvalidParam
from palpo.core.folded_text import fold
from palpo.core.user_words import MAX_WORD, MAX_WORDS, asked, words, words_of_user


def test_case_and_width_do_not_matter() -> None:
    assert fold("ＡＬＩＣＥ") == fold("alice") == "alice"
    assert words("Straße") == words("STRASSE")


def test_words_of_a_user() -> None:
    assert words_of_user("@user-1-alice:x", "Alice  Cooper!") == [
        b"user-1-alice",
        b"user",
        b"user1alice",
        b"1",
        b"1alice",
        b"alice",
        b"cooper",
    ]
    assert words_of_user("@bob:x", None) == [b"bob"]


def test_words_that_are_asked_for() -> None:
    known = words("Anne-Marie 王小明")

    def matches(term: str) -> bool:
        return all(word.is_in(known) for word in asked(term))

    for term in ("anne", "mar", "annemarie", "Anne-M", "marie-anne", "小明", "明", "anne 王"):
        assert matches(term), term
    for term in ("nne", "annem.x", "明小", "anne x"):
        assert not matches(term), term


def test_bounds() -> None:
    assert words("!?") == []
    assert words("x" * 200) == [b"x" * MAX_WORD]
    assert len(words(" ".join(str(number) for number in range(100)))) == MAX_WORDS
    assert len(words("王小明" * 300)) <= MAX_WORDS
    assert asked("x" * 5000)[0].is_in(words("x" * 200))


@pytest.mark.parametrize("text", ["x" * 256, "ö" * 128, "a\0b", "\ud800"])
def test_text_that_is_refused(text: str) -> None:
    with pytest.raises(InvalidParam):
        check_text(text, "It")


def test_text_that_is_taken() -> None:
    assert check_text("ö" * 127, "It") == "ö" * 127
    with pytest.raises(InvalidParam) as caught:
        check_text("xx", "It", max_bytes=1, errcode="M_KEY_TOO_LARGE")
    assert caught.value.errcode == "M_KEY_TOO_LARGE"
