"""The parts of server names, and rules about them."""

import pytest

from palpo.core.errors import InvalidParam
from palpo.core.server_names import ServerNameRules, is_ip_literal, split_server_name


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("example.org", ("example.org", None)),
        ("example.org:8448", ("example.org", 8448)),
        ("192.0.2.1", ("192.0.2.1", None)),
        ("192.0.2.1:1", ("192.0.2.1", 1)),
        ("[2001:db8::1]", ("2001:db8::1", None)),
        ("[2001:db8::1]:80", ("2001:db8::1", 80)),
    ],
)
def test_parts(name: str, parts: tuple[str, int | None]) -> None:
    assert split_server_name(name) == parts


@pytest.mark.parametrize(
    "name", ["", "a b", "a:b", "a:", "2001:db8::1", "[::1", "a:99999", "a/b", "ä.example"]
)
def test_what_is_no_server_name(name: str) -> None:
    with pytest.raises(InvalidParam):
        split_server_name(name)


def test_ip_literals() -> None:
    assert is_ip_literal("192.0.2.1")
    assert is_ip_literal("2001:db8::1")
    assert not any(map(is_ip_literal, ["example.org", "127.1", "2130706433", "0x7f.0.0.1", "01.2.3.4", ""]))


def test_with_no_rules_all_are_spoken_to() -> None:
    assert ServerNameRules().permits("example.org")
    assert not ServerNameRules(enabled=False).permits("example.org")
    with pytest.raises(InvalidParam):
        ServerNameRules().permits("a b")


@pytest.mark.parametrize(
    ("name", "permitted"),
    [
        ("a.example", True),
        ("A.EXAMPLE", True),
        ("a.example:8448", True),
        ("b.c.example", True),
        ("example", False),
        ("a.example.org", False),
        ("bad.example", False),
        ("bad.example:8448", False),
        ("h1", True),
        ("h12", False),
        ("[::1]:8448", True),
        ("axexample", False),
    ],
)
def test_allowed_and_denied(name: str, permitted: bool) -> None:
    rules = ServerNameRules(allow=["*.Example", "h?", "[::1]"], deny=["bad.*"])
    assert rules.permits(name) is permitted
