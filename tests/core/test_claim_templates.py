"""Templates of what new users are called."""

from __future__ import annotations

from typing import Any

import pytest

from palpo.core.claim_templates import MAX_RESULT, TemplateError, compile_template, to_localpart

CLAIMS: dict[str, Any] = {
    "name": "Alice",
    "email": "alice@work.example",
    "groups": ["a", "b"],
    "address": {"city": "Ulm"},
    "hostile": "{{ 7 * 7 }}",
    "number": 7,
}


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("", ""),
        ("x", "x"),
        ("{{ user.name | lower }}", "alice"),
        ("{{ user.email | localpart_from_email }}", "alice"),
        ("{{ user.groups | join('-') }}", "a-b"),
        ("{{ user.groups[1] }}{{ user.address.city }}", "bUlm"),
        ("{{ user.nothing }}{{ user.nothing.at.all }}", ""),
        ("{{ user.nothing | default(user.name) }}", "Alice"),
        ("{{ user.hostile }}", "{{ 7 * 7 }}"),
        ("{{ user.number }}", "7"),
        ("{{ user.number.x.y }}{{ user.number | join }}", ""),
        ("{{ user.name.__class__.__mro__ }}", ""),
        ("{{ user.__class__ }}", ""),
        ("{{ user.groups.append('c') }}", ""),
    ],
)
def test_what_comes_of_them(source: str, result: str) -> None:
    assert compile_template(source)(CLAIMS) == result


@pytest.mark.parametrize("source", ["{{", "{% if %}", "{{ x | attr('y') }}", "{{ user | map('upper') }}"])
def test_what_cannot_be_read(source: str) -> None:
    with pytest.raises(TemplateError):
        compile_template(source)


def test_there_is_nothing_but_the_user() -> None:
    for name in "range", "dict", "cycler", "lipsum", "namespace", "config", "request":
        assert compile_template(f"{{{{ {name} }}}}")(CLAIMS) == ""


def test_results_are_bounded() -> None:
    assert len(compile_template("{{ user.x }}")({"x": "x" * 100_000})) == MAX_RESULT


@pytest.mark.parametrize(
    ("text", "localpart"),
    [("Alice", "alice"), ("a b", "a=20b"), ("é", "=c3=a9"), ("a=b", "a=3db"), ("a.b_c-d/e+f", "a.b_c-d/e+f")],
)
def test_localparts(text: str, localpart: str) -> None:
    assert to_localpart(text) == localpart
