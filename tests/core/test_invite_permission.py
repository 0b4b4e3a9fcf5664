"""Who may invite a user."""

from __future__ import annotations

from typing import Any

import pytest

from palpo.core.invite_permission import MAX_GLOBS, InvitePermission, permission

BOB = "@bob:two.example"


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        ({}, "allow"),
        ({"blocked_users": [BOB]}, "block"),
        ({"ignored_users": ["@b?b:*"]}, "ignore"),
        ({"blocked_servers": ["two.*"]}, "block"),
        ({"ignored_servers": ["two.example"]}, "ignore"),
        ({"blocked_servers": ["one.example"]}, "allow"),
        ({"allowed_users": [BOB], "blocked_servers": ["*"]}, "allow"),
        ({"allowed_users": [BOB], "ignored_users": [BOB], "blocked_users": [BOB]}, "allow"),
        ({"allowed_servers": ["*"], "blocked_users": [BOB]}, "block"),
        ({"enabled": False, "blocked_users": [BOB]}, "allow"),
        ({"enabled": True, "blocked_users": [BOB]}, "block"),
        ({"blocked_users": [BOB], "allowed_servers": "x"}, "allow"),
        ({"blocked_users": [BOB, 1]}, "allow"),
        ({"blocked_users": None, "blocked_servers": "x", "ignored_users": [1, None, "x" * 300]}, "allow"),
    ],
)
def test_lists(lists: dict[str, Any], expected: str) -> None:
    assert permission({}, lists, BOB) is InvitePermission(expected)


@pytest.mark.parametrize(("action", "expected"), [("block", "block"), ("x", "allow"), (None, "allow")])
def test_default_action(action: object, expected: str) -> None:
    assert permission({"default_action": action}, {"allowed_users": [BOB]}, BOB).value == expected


@pytest.mark.parametrize("server", ["two.example", "two.example:8448", "[2001:db8::1]", "[2001:db8::1]:8448"])
def test_the_port_does_not_count(server: str) -> None:
    lists = {"blocked_servers": ["two.example", "[2001:db8::1]"], "allowed_servers": ["*:*8448"]}
    assert permission({}, lists, f"@bob:{server}") is InvitePermission.BLOCK


def test_names_are_not_bounded_but_globs_are() -> None:
    names = [f"@user{number}:one.example" for number in range(5000)]
    globs = [f"@user{number}:*" for number in range(MAX_GLOBS)]
    assert permission({}, {"blocked_users": [*names, BOB]}, BOB) is InvitePermission.BLOCK
    assert permission({}, {"blocked_users": [*globs[1:], "@bob:*"]}, BOB) is InvitePermission.BLOCK
    assert permission({}, {"blocked_users": [*globs, "@bob:*"]}, BOB) is InvitePermission.ALLOW
