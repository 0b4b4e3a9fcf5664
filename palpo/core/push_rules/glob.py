"""Globs as push rules use them (spec: appendices, "Glob-style matching"; ``event_match``).

Users choose the patterns, so matching must not take longer than the text and the pattern make it: each
piece between two ``*`` is found at its leftmost place and never looked for again (atomic groups), which
is enough, since a ``*`` takes up whatever lies between.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

Matcher = Callable[[str], bool]

_WORD: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_SEPARATOR: Final = re.compile("[^A-Za-z0-9_]")
_STARTS_WORD: Final = "(?<![A-Za-z0-9_])"
_ENDS_WORD: Final = "(?![A-Za-z0-9_])"

fold = lru_cache(maxsize=16)(str.lower)
"""Remembers the last few texts: the same one is put to all of a user's rules, and may be long."""


def is_literal(pattern: str) -> bool:
    """Whether a pattern has no wildcards."""
    return "*" not in pattern and "?" not in pattern


def compile_glob(pattern: str) -> Matcher:
    """A function that says whether the glob matches a whole text, whatever the case."""
    folded = pattern.lower()
    if is_literal(folded):
        return lambda text: fold(text) == folded
    first, *rest = folded.split("*")
    regex = _piece(first)
    if rest:
        *middle, last = rest
        regex += "".join(_found(_piece(piece)) for piece in middle if piece) + ".*" + _piece(last)
    match = re.compile(regex, re.DOTALL).fullmatch
    return lambda text: match(fold(text)) is not None


def compile_word_glob(pattern: str) -> Matcher:
    """A function that says whether the glob matches a part of a text between word boundaries.

    Before and after the part there is the end of the text, or a character that is not a letter, a digit
    (of ASCII) or ``_``. An empty pattern matches only an empty text.
    """
    folded = pattern.lower()
    if is_literal(folded):
        return lambda text: has_words(fold(text), folded)
    pieces = [_piece(piece) for piece in folded.split("*")]
    if pieces[0]:
        pieces[0] = _STARTS_WORD + pieces[0]
    if pieces[-1]:
        pieces[-1] += _ENDS_WORD
    match = re.compile("".join(_found(piece) for piece in pieces if piece), re.DOTALL).match
    longest = max(re.split(r"[*?]", folded), key=len)
    # Looking for a piece first is far cheaper than the expression, and mostly settles it.
    return lambda text: longest in (lowered := fold(text)) and match(lowered) is not None


def has_words(text: str, words: str) -> bool:
    """Whether ``words`` stands somewhere in ``text`` between word boundaries, in the same case."""
    if not words:
        return not text
    start = text.find(words)
    while start >= 0:
        end = start + len(words)
        if (start == 0 or text[start - 1] not in _WORD) and (end == len(text) or text[end] not in _WORD):
            return True
        separator = _SEPARATOR.search(text, start)
        start = -1 if separator is None else text.find(words, separator.end())
    return False


def _piece(literal: str) -> str:
    """The expression for a piece without ``*``; what it matches has a fixed length."""
    return "".join("." if char == "?" else re.escape(char) for char in literal)


def _found(expression: str) -> str:
    """The expression for the leftmost place of a piece, with whatever comes before it."""
    return f"(?>.*?{expression})"
