from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palpo.core.search_text import (
    MAX_TOKEN,
    MAX_TOKENS,
    MAX_WANTED,
    rank,
    room_token,
    searchable_text,
    tokens,
    wanted_tokens,
)


@pytest.mark.parametrize(
    ("type_", "content", "text"),
    [
        ("m.room.message", {"body": "hello"}, "hello"),
        ("m.room.message", {"body": 7}, None),
        ("m.room.message", {"name": "hello"}, None),
        ("m.room.name", {"name": "Lobby"}, "Lobby"),
        ("m.room.topic", {"topic": "Tea"}, "Tea"),
        ("m.room.topic", {"topic": "Tea", "m.topic": {"m.text": [{"body": "Tea"}]}}, "Tea"),
        (
            "m.room.topic",
            {"topic": "Tea", "m.topic": {"m.text": [{"body": 7}, {"body": "Cake"}]}},
            "Tea\nCake",
        ),
        ("m.room.topic", {"m.topic": {"m.text": [{"body": "Tea"}]}}, "Tea"),
        ("m.room.topic", {"m.topic": {"m.text": [{"body": "<b>", "mimetype": "text/html"}]}}, None),
        ("m.room.topic", {"m.topic": {"m.text": "Tea"}}, None),
        ("m.sticker", {"body": "hello"}, None),
    ],
)
def test_what_an_event_is_found_by(type_: str, content: dict[str, Any], text: str | None) -> None:
    assert searchable_text(type_, content) == text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("HELLO", "hello"),
        ("café", "cafe\u0301"),
        ("Straße", "STRASSE"),
        ("ｆｕｌｌ", "full"),
        ("über", "uber"),
    ],
)
def test_words_that_are_the_same(one: str, other: str) -> None:
    assert tokens(one) == tokens(other) != []


def test_words_that_are_not_the_same() -> None:
    assert len({*tokens("a b the 4 44 京 東 ж ы")}) == 9
    assert tokens("...!?  _ \0") == []
    assert len(tokens("東京")) == 2


@given(st.text())
def test_a_token_is_a_word_to_every_database(text: str) -> None:
    for token in tokens(text):
        assert re.fullmatch(r"q[012][a-z0-9]+", token)
        assert 3 <= len(token) <= MAX_TOKEN
    assert set(wanted_tokens(text)) <= set(tokens(text))


def test_a_word_of_marks_alone_is_no_token() -> None:
    marks = "\u0e31\u0e34"
    assert tokens(f"{marks} tea {marks}") == tokens("tea")


def test_nothing_is_without_bound() -> None:
    text = " ".join(str(number) for number in range(10_000))
    assert len(tokens(text)) <= MAX_TOKENS
    assert len(wanted_tokens(text)) == MAX_WANTED
    assert len(tokens("x" * 100_000)[0]) <= MAX_TOKEN


def test_highlights_are_words_as_they_are_written() -> None:
    assert list(wanted_tokens("Café, cafe & Tea").values()) == ["café", "tea"]


def test_more_often_and_shorter_is_better() -> None:
    wanted = tokens("tea")
    assert rank(tokens("tea tea"), wanted) > rank(tokens("tea time"), wanted) > 0
    assert rank(tokens("tea"), wanted) > rank(tokens("tea " + "and more " * 50), wanted) > 0


def test_rooms_have_tokens_of_their_own() -> None:
    assert room_token("!a:b") != room_token("!a:c")
    assert re.fullmatch(r"z0[0-9a-f]{16}", room_token("!a:b"))
