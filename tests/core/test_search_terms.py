"""What a search term finds, and how well. The scripts are in ``tests/contract/search_rows.py``."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from palpo.core.search_terms import MAX_GROUPS, MAX_HIGHLIGHTS, SearchTerm
from palpo.core.search_text import tokens
from tests.contract.search_rows import ROWS

PIECES = st.sampled_from(sorted({word for _, text, term, _ in ROWS for word in (text, term)}))
TEXTS = st.lists(PIECES, max_size=3).map(" ".join) | st.text(max_size=60)


def candidate(text: str, term: SearchTerm) -> bool:
    """Whether the index finds the text."""
    found = tokens(text)

    def has(token: str) -> bool:
        whole = token.removesuffix("*")
        return whole in found if whole == token else any(one.startswith(whole) for one in found)

    return bool(term.groups) and all(any(map(has, group.split("|"))) for group in term.groups)


@given(TEXTS, TEXTS)
def test_what_matches_is_found_by_the_index(text: str, term: str) -> None:
    asked = SearchTerm(term)
    if asked.rank(text):
        assert candidate(text, asked)


@given(PIECES)
def test_a_text_finds_itself(text: str) -> None:
    asked = SearchTerm(text)
    assert asked.rank(text) > 0
    assert candidate(text, asked)


def test_no_term_without_words_finds_anything() -> None:
    for term in ("", " ", "...", "\0", "-", "_", "|*()", "\u0301"):
        asked = SearchTerm(term)
        assert asked.groups == []
        assert asked.rank("anything, - _ |*()") == 0


def test_highlights_are_words_as_they_are_written() -> None:
    def marked(term: str, *texts: str) -> list[str]:
        return SearchTerm(term).highlights(texts)

    assert marked("Café, cafe & Tea") == ["café", "tea"]
    assert marked("cafe", "a Café", "two CAFÉS") == ["cafe", "Café", "CAFÉS"]
    assert marked("server", "Servers!", "servers") == ["server", "Servers"]
    assert marked("strasse", "in der Hauptstraße: Straße 3") == ["strasse", "Straße"]
    assert marked("email", "an e-mail") == ["email", "e-mail"]
    assert marked("USER", "getUserName", "my-üser") == ["user", "üser"]
    assert marked("バッタ", "ﾊﾞｯﾀを見た") == ["バッタ", "ﾊﾞｯﾀ"]
    assert marked("محمد", "مُحَمَّد هنا") == ["محمد", "مُحَمَّد"]


def test_more_often_shorter_and_whole_is_better() -> None:
    tea = SearchTerm("team")
    assert tea.rank("team team") > tea.rank("team time") > 0
    assert tea.rank("team") > tea.rank("team " + "and more " * 50) > 0
    assert tea.rank("the team") > tea.rank("the teams") > 0
    both = SearchTerm("green team")
    assert both.rank("a green team") > both.rank("team a green") > 0


def test_nothing_is_without_bound() -> None:
    many = SearchTerm(" ".join(str(number) for number in range(2000)))
    assert len(many.groups) == MAX_GROUPS
    assert len(SearchTerm("a.").highlights([f"{'a' * n}" for n in range(200)])) <= MAX_HIGHLIGHTS
    for term in ("x" * 2048, "a-" * 1000, "鈴" * 680, "🇩🇪" * 250, "a\u0301" * 700):
        asked = SearchTerm(term)
        assert asked.rank(term) > 0
        assert all(len(token) <= 81 for group in asked.groups for token in group.split("|"))
