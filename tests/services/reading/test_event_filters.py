"""Filters."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from palpo.core.errors import BadJson, InvalidParam, NotJson
from palpo.core.events import SignedEvent
from palpo.services.reading.event_filters import (
    name_predicate,
    parse_filter,
    parse_room_event_filter,
    plain_predicate,
    predicate,
)


def event(type_: str = "m.room.message", sender: str = "@a:x", **content: Any) -> SignedEvent:
    return SignedEvent(
        event_id="$e",
        room_id="!r:x",
        type=type_,
        sender=sender,
        state_key=None,
        content=content,
        depth=1,
        origin_server_ts=1,
        prev_events=(),
        auth_events=(),
        pdu={},
    )


def lets_through(filter_: dict[str, Any], item: SignedEvent) -> bool:
    test = predicate(parse_room_event_filter(orjson.dumps(filter_)))
    return test is None or test(item)


THREADED = {"m.relates_to": {"rel_type": "m.thread", "event_id": "$x"}}


@pytest.mark.parametrize(
    ("filter_", "item", "expected"),
    [
        ({}, event(), True),
        ({"types": []}, event(), False),
        ({"types": ["m.room.message"]}, event(), True),
        ({"types": ["m.room.*"]}, event(), True),
        ({"types": ["m.*.message"]}, event(), True),
        ({"types": ["**m.***.mess**age**"]}, event(), True),
        ({"types": ["**m.***.message.**"]}, event(), False),
        ({"types": ["m.room"]}, event(), False),
        ({"types": ["*"], "not_types": ["m.room.m*"]}, event(), False),
        ({"not_types": ["m.room.member"]}, event(), True),
        ({"senders": ["@a:x"]}, event(), True),
        ({"senders": ["@a:x"], "not_senders": ["@a:x"]}, event(), False),
        ({"senders": []}, event(), False),
        ({"not_senders": ["@b:x"]}, event(), True),
        ({"rooms": ["!other:x"]}, event(), False),
        ({"not_rooms": ["!r:x"]}, event(), False),
        ({"contains_url": True}, event(url="mxc://x/y"), True),
        ({"contains_url": True}, event(), False),
        ({"contains_url": False}, event(url="mxc://x/y"), False),
        ({"org.matrix.msc3874.rel_types": ["m.thread"]}, event(**THREADED), True),
        ({"rel_types": ["m.thread"]}, event(), False),
        ({"not_rel_types": ["m.thread"]}, event(**THREADED), False),
        ({"not_rel_types": ["m.thread"]}, event(**{"m.relates_to": 1}), True),
    ],
)
def test_what_is_let_through(filter_: dict[str, Any], item: SignedEvent, expected: bool) -> None:
    assert lets_through(filter_, item) is expected


@pytest.mark.parametrize(
    ("glob", "name", "expected"),
    [
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("*b*", "abc", True),
        ("*b*b*", "abc", False),
        ("a**c", "abc", True),
        ("a.c", "abc", False),
        ("a*", "b", False),
    ],
)
def test_globs(glob: str, name: str, expected: bool) -> None:
    test = name_predicate([glob], None)
    assert test is not None
    assert test(name) is expected


def test_what_is_no_room_event() -> None:
    filter_ = parse_filter(b'{"presence": {"types": ["m.pres*"], "not_senders": ["@b:x"]}}')
    test = plain_predicate(filter_.presence)
    assert test is not None
    assert test("m.presence", "@a:x")
    assert not test("m.presence", "@b:x")
    assert not test("m.tag", "@a:x")
    assert plain_predicate(filter_.account_data) is None


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (b"{", NotJson),
        (b"[]", BadJson),
        (b'{"room": {"timeline": {"limit": -1}}}', InvalidParam),
        (b'{"room": {"timeline": {"types": "m.room.message"}}}', BadJson),
        (b'{"room": {"rooms": ["not a room"]}}', BadJson),
        (b'{"presence": {"senders": ["not a user"]}}', BadJson),
        (b'{"event_format": "other"}', BadJson),
        (orjson.dumps({"account_data": {"types": ["x"] * 1001}}), InvalidParam),
        (orjson.dumps({"account_data": {"types": ["x*"] * 101}}), InvalidParam),
    ],
)
def test_bad_filters(text: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        parse_filter(text)
