"""Globs as push rules use them (spec: appendices, "Glob-style matching"; ``event_match``).

Users choose the patterns and others choose the texts, so what matching costs is counted: a ``Work`` is what
may be spent on one event, and what is not found within it is not there. Nothing is looked for twice: each
piece between two ``*`` is taken at its leftmost place, which is enough, since a ``*`` takes up whatever lies
between.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

WORK: Final = 10_000_000
"""What may be spent on one event, in units of about a nanosecond."""
_STEP: Final = 2000
"""What it costs to look at one place of a text."""

_WORD: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_WORDS: Final = re.compile("[A-Za-z0-9_]+")
_SHORT: Final = 512
"""Characters of a text in which a word is looked for directly."""


class Work:
    """What may still be spent on matching."""

    __slots__ = ("left",)

    def __init__(self, left: int = WORK) -> None:
        self.left = left

    def spend(self, cost: int) -> bool:
        """Spend it; False where there is not enough left, for this and for whatever follows."""
        self.left -= cost
        return self.left >= 0


Matcher = Callable[[str, Work], bool]

fold = lru_cache(maxsize=16)(str.lower)
"""Remembers the last few texts: the same one is put to all of a user's rules, and may be long."""


@lru_cache(maxsize=2)
def _words_of(folded: str) -> frozenset[str]:
    """The longest runs of letters and digits of ASCII and ``_``; of the text that is judged at the moment."""
    return frozenset(_WORDS.findall(folded))


def is_literal(pattern: str) -> bool:
    """Whether a pattern has no wildcards."""
    return "*" not in pattern and "?" not in pattern


def compile_glob(pattern: str) -> Matcher:
    """A function that says whether the glob matches a whole text, whatever the case."""
    folded = pattern.lower()
    if is_literal(folded):
        # Lower case is never shorter.
        return lambda text, work: len(text) <= len(folded) and fold(text) == folded
    first, *rest = map(_Piece, folded.split("*"))

    def matches(text: str, work: Work) -> bool:
        if not work.spend(4 * len(text)):
            return False
        lowered = fold(text)
        if not rest:
            return len(lowered) == first.length and first.is_at(lowered, 0)
        end = len(lowered) - rest[-1].length
        if end < first.length or not first.is_at(lowered, 0) or not rest[-1].is_at(lowered, end):
            return False
        at = first.length
        for piece in rest[:-1]:
            at = piece.find(lowered, at, work)
            if at < 0:
                return False
            at += piece.length
        return at <= end

    return matches


def compile_word_glob(pattern: str) -> Matcher:
    """A function that says whether the glob matches a part of a text between word boundaries.

    Before and after the part there is the end of the text, or a character that is not a letter, a digit
    (of ASCII) or ``_``. An empty pattern matches only an empty text.
    """
    folded = pattern.lower()
    if not folded:
        return lambda text, _work: not text
    if is_literal(folded):
        piece = _Piece(folded, literal=True)
        if _WORD.issuperset(folded):
            return lambda text, work: _has_word(fold(text), folded, piece, work)
        return lambda text, work: piece.is_between_words(fold(text), work)
    pieces = [_Piece(piece) for piece in folded.split("*")]

    def matches(text: str, work: Work) -> bool:
        if not work.spend(4 * len(text)):
            return False
        lowered, at, last = fold(text), 0, len(pieces) - 1
        for number, piece in enumerate(pieces):
            if piece.length:
                at = piece.find(lowered, at, work, starts_word=number == 0, ends_word=number == last)
                if at < 0:
                    return False
                at += piece.length
        return True

    return matches


def has_words(text: str, words: str, work: Work) -> bool:
    """Whether ``words`` stands somewhere in ``text`` between word boundaries, in the same case."""
    return _Piece(words, literal=True).is_between_words(text, work) if words else not text


def _has_word(text: str, word: str, piece: _Piece, work: Work) -> bool:
    """The same for what has only letters, digits and ``_``: in a long text words are looked up."""
    if len(text) > _SHORT:
        return work.spend(_STEP) and word in _words_of(text)
    return work.spend(_cost(len(text), word)) and word in text and piece.is_between_words(text, work)


def _cost(length: int, literal: str) -> int:
    """What it may cost to look for a literal in a text of some length: Python looks for short ones, and in
    short texts, place by place."""
    return length * (5 + min(len(literal), 100) // 4)


_NONE: Final[list[tuple[int, str]]] = []


class _Piece:
    """A part of a pattern without ``*``; what it matches has a fixed length."""

    __slots__ = ("_anchor", "_anchor_at", "_others", "length")

    def __init__(self, piece: str, *, literal: bool = False) -> None:
        self.length = len(piece)
        if literal:
            self._anchor, self._anchor_at, self._others = piece, 0, _NONE
            return
        fragments = _fragments(piece)
        longest = max(fragments, key=lambda item: len(item[1]), default=(0, ""))
        self._anchor_at, self._anchor = longest
        self._others = [item for item in fragments if item is not longest]

    def is_at(self, text: str, at: int) -> bool:
        """Whether ``text`` has it at a place where there is room for it."""
        return text.startswith(self._anchor, at + self._anchor_at) and all(
            text.startswith(fragment, at + offset) for offset, fragment in self._others
        )

    def is_between_words(self, text: str, work: Work) -> bool:
        """Whether it stands somewhere in ``text`` between word boundaries."""
        return self.find(text, 0, work, starts_word=True, ends_word=True) >= 0

    def find(
        self, text: str, start: int, work: Work, *, starts_word: bool = False, ends_word: bool = False
    ) -> int:
        """The leftmost place at or after ``start``, at the start and the end of words if need be; or -1."""
        at, last = start, len(text) - self.length
        while at <= last and work.left >= 0:
            found = text.find(self._anchor, at + self._anchor_at) - self._anchor_at
            if found < at:  # It is nowhere.
                work.spend(_cost(len(text) - at, self._anchor))
                return -1
            cost = _cost(found - at, self._anchor) + _STEP * (1 + len(self._others))
            if not work.spend(cost) or found > last:
                return -1
            at, end = found, found + self.length
            if (
                (not starts_word or at == 0 or text[at - 1] not in _WORD)
                and (not ends_word or end == len(text) or text[end] not in _WORD)
                and self.is_at(text, at)
            ):
                return at
            at += 1
        return -1


def _fragments(piece: str) -> list[tuple[int, str]]:
    """The parts between the ``?`` of a piece, each with its place."""
    found = []
    at = 0
    for fragment in piece.split("?"):
        if fragment:
            found.append((at, fragment))
        at += len(fragment) + 1
    return found
