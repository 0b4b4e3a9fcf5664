from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from palpo.core import identifiers
from palpo.core.errors import InvalidParam
from palpo.core.identifiers import MxcUri

HASH = "Rqnc-F-dvnEYJTyHq_iKxU2bZ1CI92-kuZq3a5lr5Zg"


@pytest.mark.parametrize(
    "name",
    [
        "matrix.org",
        "matrix.org:8888",
        "1.2.3.4",
        "1.2.3.4:1234",
        "[1234:5678::abcd]",
        "[1234:5678::abcd]:5678",
        "[::ffff:1.2.3.4]",
        "localhost:65535",
        "UPPER-case.org",
        "a" * 255,
    ],
)
def test_server_names(name: str) -> None:
    assert identifiers.parse_server_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a b",
        "a:",
        "a:123456",
        "a:65536",
        "a:b",
        "[::g]",
        "[:::]",
        "[1.2.3.4]",
        "[::1",
        "::1",
        "é.org",
        "a\n",
        "a/b",
        "a" * 256,
        "user@host",
        "a_b",
        "[::1%25eth0]",
        "a:٣",
    ],
)
def test_other_server_names(name: str) -> None:
    with pytest.raises(InvalidParam):
        identifiers.parse_server_name(name)


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (identifiers.parse_user_id, "@a:b"),
        (identifiers.parse_user_id, "@:b"),
        (identifiers.parse_user_id, "@UPPER/é \x01💥:b:80"),
        (identifiers.parse_user_id, "@" + "a" * 252 + ":b"),
        (identifiers.parse_room_id, "!a:b"),
        (identifiers.parse_room_id, "!" + HASH),
        (identifiers.parse_room_id, "!a:[::1]:80"),
        (identifiers.parse_event_id, "$a:b"),
        (identifiers.parse_event_id, "$" + HASH),
        (identifiers.parse_event_id, "$acR1l0raoZnm60CBwAVgqbZqoO/mYU81xysh1u7XcJk"),
        (identifiers.parse_room_alias, "#a b#c:d"),
    ],
)
def test_identifiers(parse: Callable[[str], str], text: str) -> None:
    assert parse(text) == text


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (identifiers.parse_user_id, ""),
        (identifiers.parse_user_id, "@"),
        (identifiers.parse_user_id, "a:b"),
        (identifiers.parse_user_id, "@a"),
        (identifiers.parse_user_id, "@a:"),
        (identifiers.parse_user_id, "@a:b:c"),
        (identifiers.parse_user_id, "@a\0:b"),
        (identifiers.parse_user_id, "@\ud800:b"),
        (identifiers.parse_user_id, "@" + "a" * 253 + ":b"),
        (identifiers.parse_user_id, "@" + "é" * 127 + ":b"),
        (identifiers.parse_room_id, "!"),
        (identifiers.parse_room_id, "!a:"),
        (identifiers.parse_room_id, "#a:b"),
        (identifiers.parse_event_id, "$"),
        (identifiers.parse_event_id, "a"),
        (identifiers.parse_event_id, "$" + "a" * 255),
        (identifiers.parse_room_alias, "#a"),
        (identifiers.parse_room_alias, "!a:b"),
    ],
)
def test_other_text(parse: Callable[[str], str], text: str) -> None:
    with pytest.raises(InvalidParam):
        parse(text)


@given(st.text(max_size=300), st.sampled_from(["", "@", "!", "#"]))
@example("@", "")
def test_user_ids_are_accepted_by_length_and_characters_only(text: str, sigil: str) -> None:
    user_id = f"{sigil}{text}:b"
    if user_id[0] == "@" and len(user_id.encode()) <= 255 and not set(text) & {":", "\0"}:
        assert identifiers.parse_user_id(user_id) == user_id
    elif ":" not in text:
        with pytest.raises(InvalidParam) as refusal:
            identifiers.parse_user_id(user_id)
        assert refusal.value.message.isascii()


def test_mxc_uri() -> None:
    uri = identifiers.parse_mxc_uri("mxc://example.org:80/aB_-9")
    assert uri == MxcUri(identifiers.parse_server_name("example.org:80"), "aB_-9")
    assert str(uri) == "mxc://example.org:80/aB_-9"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mxc://",
        "mxc://a",
        "mxc://a/",
        "mxc:///b",
        "http://a/b",
        "a/b",
        "mxc://a/b/c",
        "mxc://a/..",
        "mxc://a b/c",
        "mxc://a/" + "b" * 256,
        "mxc://a/b\n",
    ],
)
def test_other_mxc_uris(text: str) -> None:
    with pytest.raises(InvalidParam):
        identifiers.parse_mxc_uri(text)


def test_parts() -> None:
    assert identifiers.server_name_of("@a:b:80") == "b:80"
    assert identifiers.localpart_of("@a:b:80") == "a"
    assert identifiers.localpart_of("!" + HASH) == HASH
    with pytest.raises(InvalidParam):
        identifiers.server_name_of("!" + HASH)


def test_new_localparts() -> None:
    assert identifiers.valid_new_localpart("az09._=-/+")
    for text in ("", "A", "é", "a b", "a:", "a\n", "a@"):
        assert not identifiers.valid_new_localpart(text)


def test_make_user_id() -> None:
    assert identifiers.make_user_id("a", "b:80") == "@a:b:80"
    with pytest.raises(InvalidParam):
        identifiers.make_user_id("a" * 250, "example.org")
