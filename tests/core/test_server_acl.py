"""Which servers a room lets take part."""

from __future__ import annotations

from typing import Any

import pytest

from palpo.core.server_acl import ServerAcl


def permits(name: str, **content: Any) -> bool:
    return ServerAcl.parse(content).permits(name)


def test_allowed_and_not_denied() -> None:
    assert permits("a.example", allow=["*"])
    assert permits("a.example:8448", allow=["a.*"])
    assert permits("A.EXAMPLE", allow=["a.example"])
    assert not permits("a.example", allow=["*"], deny=["*.example"])
    assert not permits("a.example", deny=["b.example"])
    assert not permits("a.example")


@pytest.mark.parametrize(
    ("glob", "name", "expected"),
    [
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("*b*", "abc", True),
        ("a*b*c", "aXbYbc", True),
        ("a*bc", "abcabc", True),
        ("a.c", "abc", False),
        ("**", "", False),
        ("*.evil.*", "x.evil.example", True),
        ("a*", "ba", False),
        ("[ab]", "a", False),
    ],
)
def test_globs(glob: str, name: str, expected: bool) -> None:
    assert permits(name or "x-", allow=[glob]) is (expected or name == "")


def test_ip_literals() -> None:
    assert permits("1.2.3.4", allow=["*"])
    assert permits("[::1]:80", allow=["[::1]"])
    assert not permits("1.2.3.4:80", allow=["*"], allow_ip_literals=False)
    assert not permits("[::1]", allow=["*"], allow_ip_literals=False)
    assert permits("[::1]", allow=["*"], allow_ip_literals="no")


def test_malformed_lists_let_nobody_in() -> None:
    assert not permits("a.example", allow="*")
    assert permits("a.example", allow=["*", 1, None], deny={"a": 1})


def test_no_glob_takes_long() -> None:
    assert not permits("a" * 200, allow=["*a" * 100 + "b"])
