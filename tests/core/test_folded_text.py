from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palpo.core.folded_text import BORDER, MARKED, fold, marked


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("HELLO", "hello"),
        ("café", "cafe\u0301"),
        ("Straße", "STRASSE"),
        ("ｆｕｌｌ", "full"),
        ("İı", "ii"),
        ("ёлка", "елка"),
        ("ΟΔΟΣ", "οδος"),
        ("أحمد", "احمد"),
        ("٤٢", "42"),
        ("👍🏿", "👍"),
        ("ｶﾞ", "ガ"),
        ("a\u200bb", "a\u200bb"),
    ],
)
def test_what_is_the_same(one: str, other: str) -> None:
    assert fold(one) == fold(other) != ""


@pytest.mark.parametrize(
    ("one", "other"), [("й", "и"), ("が", "か"), ("की", "क"), ("ї", "і"), ("🇩🇪", "🇩🇰"), ("น้", "น")]
)
def test_what_is_not_the_same(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("getUserName", "get user name"),
        ("HTTPServer", "http server"),
        ("snake_case-word", "snake case word"),
        ("don’t", "don t"),
        ("_around_ -it- 'is'", " around  -it- 'is'"),
        ("Ab", "ab"),
        ("TEAs", "teas"),
    ],
)
def test_words_within_words(text: str, words: str) -> None:
    assert marked(text).replace(MARKED, " ").rstrip() == words.rstrip()


def test_scripts_within_a_word() -> None:
    assert marked("发布V2版本").split(BORDER) == ["发布", "v2", "版本"]


@given(st.text())
def test_a_text_has_no_marks_of_its_own(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert MARKED not in marked(f"{MARKED} {BORDER}")
