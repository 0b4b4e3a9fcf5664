"""Bodies that are right, or nearly, and as large or as deep as they may be: what holds the event loop."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

TEXTS = (
    "a", "x ", "xaa ", "a.", "a-", "- ", "@a:x ", "é", "日本語", "İ", "\U0001f600", "ก็", "\u0301", "*", "?",
    "*a", "a?", "(a+)+", "\\", "<p>", "&amp;", "_", "%2F", "A", "0", "\n", '"', "\u202e", "http://a/ ",
    "$a:b,",
)  # fmt: skip
"""What long texts are made of."""
FEW, SOME, MANY = 50, 1000, 20_000


def swollen(rng: Random, body: Any, size: int) -> Any:
    """``body`` with one of its parts blown up to about ``size`` bytes."""
    places = list(_places(body, ()))
    if not places:
        return body
    path, part = rng.choice(places)
    return _put(body, path, _larger(rng, part, max(100, size)))


def _places(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every value within ``value``, and where it is."""
    yield path, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _places(item, (*path, key))


def _put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _put(copy[path[0]], path[1:], new)
    return copy


def _larger(rng: Random, part: Any, size: int) -> Any:
    size //= rng.choice((1, 1, 4, 30))
    if isinstance(part, dict):
        return _wide(rng, part, size) if part and rng.random() < 0.8 else _deep(rng, part)
    if isinstance(part, list):
        items = part or ["x", 1, {}, []]
        number = min(rng.choice((FEW, SOME, MANY)), size // (len(str(items)) // len(items) + 2))
        return [_other(rng, items[n % len(items)], n) for n in range(number)]
    if isinstance(part, str) and rng.random() < 0.8:
        unit = rng.choice(TEXTS)
        start = part[: rng.randrange(len(part) + 1)]
        return start + unit * (size // len(unit.encode())) + rng.choice(("", "b", " end"))
    if isinstance(part, int) and rng.random() < 0.3:
        return 10 ** min(4000, size)
    return _deep(rng, part)


def _wide(rng: Random, part: dict[str, Any], size: int) -> dict[str, Any]:
    """An object with many members like those that it has."""
    name, item = rng.choice(list(part.items()))
    number = min(rng.choice((FEW, SOME, MANY)), size // (len(name) + len(str(item)) + 12))
    return {**part, **{_name(name, n): _other(rng, item, n) for n in range(number)}}


def _name(name: str, number: int) -> str:
    """Another name of the same kind."""
    localpart, colon, server = name.partition(":")
    return f"{localpart}{number}{colon}{server}"


def _other(rng: Random, item: Any, number: int) -> Any:
    """An item like another one."""
    return _name(item, number) if isinstance(item, str) and rng.random() < 0.9 else item


def _deep(rng: Random, part: Any) -> Any:
    for _ in range(rng.choice((20, 90, 190))):
        part = [part] if rng.random() < 0.5 else {"a": part}
    return part
