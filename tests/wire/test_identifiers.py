"""Identifiers in parameters and bodies."""

from __future__ import annotations

from typing import Any, get_type_hints

import msgspec
import pytest

from palpo.api.codec import Codec
from palpo.core.errors import InvalidParam
from palpo.core.identifiers import EventId, RoomAlias, RoomId, UserId
from palpo.wire.endpoint import Auth, Body, Endpoint, Params
from palpo.wire.registry import endpoints

TYPES: dict[str, Any] = {
    "event_id": EventId,
    "room_alias": RoomAlias,
    "room_id": RoomId,
    "room_id_or_alias": RoomId | RoomAlias,
    "root_id": EventId,
    "user_id": UserId,
}
GOOD = {"room": "!a:test.example", "user": "@a:test.example", "event": "$a", "place": "#a:test.example"}
ENDPOINTS = [item for item in endpoints() if item.api == "client-server"]


class Subject(Params, frozen=True):
    room: RoomId
    user: UserId | None = None
    event: EventId | None = msgspec.field(name="m.event", default=None)
    place: RoomId | RoomAlias | None = None
    words: str = ""


class Inner(Body, frozen=True):
    user: UserId


class Outer(Body, frozen=True):
    inner: list[Inner]


ENDPOINT: Endpoint[Subject, Outer, Any] = Endpoint(
    operation_id="x", method="PUT", paths=("/{room}",), auth=Auth.NONE, params=Subject, body=Outer
)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=[item.operation_id for item in ENDPOINTS])
def test_what_is_named_as_an_identifier_is_one(endpoint: Endpoint[Any, Any, Any]) -> None:
    hints = get_type_hints(endpoint.params)
    wanted = {name: TYPES[name] for name in hints if name in TYPES}
    assert {name: hints[name] for name in wanted} == {
        name: hint if hints[name] == hint else hint | None for name, hint in wanted.items()
    }


def test_good_ones() -> None:
    params = Codec(ENDPOINT).params({"room": GOOD["room"]}, "user=@a:test.example&m.event=$a&words=@")
    assert (params.room, params.user, params.event) == (GOOD["room"], GOOD["user"], GOOD["event"])


@pytest.mark.parametrize("place", ["!a:test.example", "!hash", "#a:test.example"])
def test_rooms_and_aliases(place: str) -> None:
    assert msgspec.convert({**GOOD, "place": place}, Subject).place == place


@pytest.mark.parametrize(
    "bad",
    [
        {"room": "@a:test.example"},
        {"room": "!a:b c"},
        {"user": "@a"},
        {"m.event": "a"},
        {"m.event": "$" + "a" * 255},
        {"place": "#a"},
        {"place": "@a:test.example"},
        {"room": "!a\0b"},
    ],
)
def test_bad_ones(bad: dict[str, str]) -> None:
    with pytest.raises(InvalidParam):
        msgspec.convert({**GOOD, **bad}, Subject)


def test_within_a_body() -> None:
    codec = Codec(ENDPOINT)
    assert codec.body(b'{"inner": [{"user": "@a:test.example"}]}').inner[0].user == "@a:test.example"
    with pytest.raises(InvalidParam):
        codec.body(b'{"inner": [{"user": "a"}]}')


@pytest.mark.parametrize(("path", "query"), [("!a\0", ""), ("!a", "words=%00"), ("!a", "other=a%00")])
def test_no_parameter_has_nul(path: str, query: str) -> None:
    with pytest.raises(InvalidParam):
        Codec(ENDPOINT).params({"room": path}, query)
