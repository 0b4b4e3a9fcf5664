from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palpo.core.folded_text import marked
from palpo.core.search_text import (
    MAX_BYTES,
    MAX_TOKEN,
    MAX_TOKENS,
    room_token,
    searchable_text,
    tokens,
    word_token,
)
from palpo.core.text_units import units


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


@given(st.text())
def test_a_token_is_a_word_to_every_database(text: str) -> None:
    found = tokens(text)
    assert len(set(found)) == len(found)
    for token in found:
        assert re.fullmatch(r"q[0123][a-z0-9]+", token)
        assert 3 <= len(token) <= MAX_TOKEN


def test_the_beginning_of_a_word_is_the_beginning_of_its_token() -> None:
    for word in ("server", "сервер", "हिन्दी", "x" * 300, "ж" * 300):
        assert word_token(word).startswith(word_token(word[:4]))


def test_words_of_one_sign_or_mark() -> None:
    assert tokens("...!?  _ \0") == []
    marks = "\u0e31\u0e34"
    assert tokens(f"{marks} tea {marks}") == tokens("tea")


def test_nothing_is_without_bound() -> None:
    assert len(tokens(" ".join(str(number) for number in range(10_000)))) == MAX_TOKENS
    assert len(tokens("x" * 100_000)[0]) <= MAX_TOKEN
    long = " ".join(f"{'ж' * 18}{number}" for number in range(10_000))
    assert sum(len(token) + 1 for token in tokens(long)) <= MAX_BYTES


def test_rooms_have_tokens_of_their_own() -> None:
    assert room_token("!a:b") != room_token("!a:c")
    assert re.fullmatch(r"z0[0-9a-f]{16}", room_token("!a:b"))


@given(text=st.text("aabbZZQq0123456789 _-'+#$.,\x1e\x1f\n&@^~", max_size=24))
def test_ascii_has_the_tokens_that_the_rules_of_all_scripts_give_it(text: str) -> None:
    """What is the quick way for ASCII, and the way that all other texts go."""
    other = "\u00b6"  # Divides, and is no ASCII.
    assert tokens(text) == tokens(f"{text} {other}")
    folded = marked(text)
    assert list(units(folded)) == list(units(f"{folded} {other}"))
