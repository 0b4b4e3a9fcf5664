"""What other servers say, made wrong: as values, as JSON, and as bytes."""

from __future__ import annotations

import copy
from random import Random
from typing import Any

from palpo.core.canonical_json import to_json
from tests.fuzz.pdus import Mutator
from tests.support.unreadable import ANYTHING, MARK, spoilt

JUNK = (
    b"",
    b"{",
    b"[]",
    b"null",
    b'"',
    b"\0",
    b"{}{}",
    b"[200]",
    b"[200,{}]",
    b"\xff\xfe",
    b"<html>",
    b"1e999",
)


class Spoiler:
    """Makes it wrong in any way."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.names = ["$x:y", "$" + "A" * 43, "!x:y", "@bob:remote.example"]
        """IDs that may be put anywhere."""
        self._mutator = Mutator(rng, self.names)

    def json(self, value: Any) -> tuple[bytes, bytes]:
        """Wrong JSON of a value, and what may be signed of it."""
        value = copy.deepcopy(value)
        for _ in range(self.rng.choice((0, 1, 1, 2, 3))):
            if isinstance(value, dict | list):
                self._mutator.change(value)
        if self.rng.random() > 0.5:
            return to_json(value), to_json(value)
        _mark(self.rng, value)
        bad = self.rng.choice(list(ANYTHING.values()))
        return spoilt(value, bad), spoilt(value, bad)

    def body(self, value: Any) -> bytes:
        """An answer: now and then it is no JSON at all."""
        found, _ = self.json(value)
        draw = self.rng.random()
        if draw < 0.03:
            return self.rng.choice(JUNK)
        if draw < 0.06:
            return found[: self.rng.randrange(len(found) + 1)]
        return found


def _mark(rng: Random, value: Any) -> None:
    """Put MARK somewhere into a value, the more likely the deeper."""
    while isinstance(value, dict | list) and value:
        key = rng.choice(list(value) if isinstance(value, dict) else range(len(value)))
        if isinstance(value[key], dict | list) and value[key] and rng.random() < 0.8:
            value = value[key]
            continue
        value[key] = MARK
        return
