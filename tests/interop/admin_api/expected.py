"""What an answer has in it at least."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Each:
    """A list with something in it, each item of which has this."""

    item: Any


def missing(answer: Any, expected: Any) -> Iterator[str]:
    """What of ``expected`` is not in the answer; ``...`` is anything that is there."""
    if expected is ...:
        return
    if isinstance(expected, Each):
        yield from _of_each(answer, expected)
    elif isinstance(expected, dict) and isinstance(answer, dict):
        for name, value in expected.items():
            if name not in answer:
                yield name
            else:
                yield from missing(answer[name], value)
    elif isinstance(expected, list) and isinstance(answer, list) and len(answer) == len(expected):
        for one, other in zip(answer, expected, strict=True):
            yield from missing(one, other)
    elif answer != expected:
        yield f"{answer!r} is not {expected!r}"


def _of_each(answer: Any, expected: Each) -> Iterator[str]:
    if not isinstance(answer, list) or not answer:
        yield f"{answer!r} is no list with something in it"
        return
    for item in answer:
        yield from missing(item, expected.item)
