from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palpo.core.push_rules.glob import Work, compile_glob, compile_word_glob, has_words

TEXTS = st.text(alphabet="ab- \n", max_size=10)
PATTERNS = st.text(alphabet="ab-*?", max_size=6)


def matches(pattern: str, text: str) -> bool:
    """What a glob means, without regard for the cost."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(matches(pattern[1:], text[n:]) for n in range(len(text) + 1))
    return bool(text) and pattern[0] in ("?", text[0]) and matches(pattern[1:], text[1:])


def matches_words(pattern: str, text: str) -> bool:
    """Whether a part between boundaries matches."""
    if not pattern:
        return not text

    def boundary(at: int) -> bool:
        return not 0 <= at < len(text) or text[at] not in "ab"

    return any(
        boundary(start - 1) and boundary(end) and matches(pattern, text[start:end])
        for start in range(len(text) + 1)
        for end in range(start, len(text) + 1)
    )


@given(pattern=PATTERNS, text=TEXTS)
def test_globs_mean_what_they_say(pattern: str, text: str) -> None:
    assert compile_glob(pattern)(text, Work()) == matches(pattern, text)


@given(pattern=PATTERNS, text=TEXTS)
def test_word_globs_mean_what_they_say(pattern: str, text: str) -> None:
    assert compile_word_glob(pattern)(text, Work()) == matches_words(pattern, text)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("lunc?*", "Lunch plans", True),
        ("lunc?*", "LUNCH", True),
        ("lunc?*", " lunch", False),
        ("lunc?*", "lunc", False),
        ("m.notice", "m.notice", True),
        ("m.notice", "mxnotice", False),
        ("", "", True),
        ("", "x", False),
        ("*", "any\nthing", True),
    ],
)
def test_globs(pattern: str, text: str, expected: bool) -> None:
    assert compile_glob(pattern)(text, Work()) is expected


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("ex*ple", "An example event.", True),
        ("ex*ple", "exple", True),
        ("ex*ple", "An exciting triple-whammy", True),
        ("ex*ple", "An exciting triples", False),
        ("cake", "CAKE!", True),
        ("cake", "cakes, pancake, cake_, 0cake", False),
        ("cake", "cakes and cake", True),
        ("@room", "hey @room!", True),
        ("@room", "hey @rooms", False),
        ("c?ke", "a coke", True),
        ("c.ke", "a coke", False),
        ("*", "", True),
    ],
)
def test_word_globs(pattern: str, text: str, expected: bool) -> None:
    assert compile_word_glob(pattern)(text, Work()) is expected


@given(words=st.text(alphabet="ab-é ", max_size=4), text=st.text(alphabet="ab-é ", max_size=10))
def test_words_mean_what_they_say(words: str, text: str) -> None:
    assert has_words(text, words, Work()) == matches_words(words, text)


@given(word=st.text(alphabet="ab", min_size=1, max_size=3), text=st.text(alphabet="ab-é ", max_size=10))
def test_words_of_long_texts_mean_the_same(word: str, text: str) -> None:
    assert compile_word_glob(word)(text + " -" * 300, Work()) == matches_words(word, text)


HOSTILE = [
    "*a" * 120 + "*b?c",
    "a*b?c",
    "a" * 250 + "?bc",
    "?" * 250 + "bc",
    "a" * 255,
    "- " * 120 + "-a",
    "?a?",
]


@pytest.mark.parametrize("pattern", HOSTILE)
@pytest.mark.parametrize(
    "text", ["a" * 60_000 + "bc_", "a " * 30_000 + "bc_", "- " * 30_000 + "_", "_- " * 20_000]
)
def test_hostile_patterns_stay_cheap(pattern: str, text: str) -> None:
    # With backtracking these would take minutes and longer.
    for matches in (compile_word_glob(pattern), compile_glob(pattern)):
        work = Work()
        matches(text, work)
        assert work.left > -500_000, "looked on after all was spent"


def test_what_is_not_found_in_time_is_not_there() -> None:
    pattern = compile_word_glob("a-b*")
    assert pattern("x " * 1000 + "a-b", Work())
    assert not pattern("x " * 1000 + "a-b", Work(1000))
    assert not pattern("xa-b " * 100_000 + "a-b", Work())
    spent = Work(0)
    assert not spent.spend(1)
    assert not compile_word_glob("x?z")("xyz", spent)
