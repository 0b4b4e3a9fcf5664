"""What searches take as one word or sign of a text that ``core.folded_text.marked`` has made.

- A *run*: letters, marks and digits, and what single apostrophes, hyphens, underscores or capitals divide
  into words (``e-mail``, ``don't``, ``snake_case``, ``camelCase``). ``+`` and ``#`` at its end belong to it:
  ``C++``.
- A *row* of characters of a script that puts no space between words: any part of it may be a word.
- A *sign*: an emoji, a currency, another symbol.

Everything else divides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, Literal, NamedTuple

import regex

from palpo.core.folded_text import MARKED, SOLID

_LETTER: Final = rf"[[\p{{L}}\p{{M}}\p{{N}}]--[{SOLID}]]"
MIN_PREFIXED: Final = 4
"""Letters of a word that may have an article or a preposition as part of it."""

_UNITS = regex.compile(
    rf"(?P<row>(?:(?!\p{{M}})[{SOLID}])[{SOLID}\p{{M}}]*)"
    rf"|(?P<run>(?!\p{{M}}){_LETTER}+(?:{MARKED}{_LETTER}+)*(?:(?<=\p{{L}})[+\#]{{1,2}}(?!\p{{L}}))?)"
    r"|(?P<sign>(?=[\p{So}\p{Sc}\p{Extended_Pictographic}\p{Regional_Indicator}])\X)",
    regex.V1,
)
_ASCII_UNITS = re.compile(
    rf"(?P<run>[A-Za-z0-9]+(?:{MARKED}[A-Za-z0-9]+)*(?:(?<=[A-Za-z])[+\#]{{1,2}}(?![A-Za-z]))?)|(?P<sign>\$)"
)
"""The same for ASCII, where it is many times as quick."""
_CHARACTERS = regex.compile(r"\X")

ARABIC_PREFIX: Final = "(?:[وفبكل]?ال|لل|[وفبكل])"
HEBREW_PREFIX: Final = "(?:[ושהבלמכ]{1,2})"
_CONJUNCTIONS: Final = tuple("وفبكل")
_HEBREW_LETTERS: Final = frozenset("ושהבלמכ")

Kind = Literal["row", "run", "sign"]
_KINDS: Final[Mapping[str, Kind]] = {"row": "row", "run": "run", "sign": "sign"}


class Unit(NamedTuple):
    """A run, a row or a sign; from ``start`` to ``end`` of the text."""

    kind: Kind
    parts: list[str]
    """The words of a run, the characters of a row, the one sign."""
    suffix: str
    """``+`` and ``#`` at the end of a run."""
    start: int
    end: int

    @property
    def joined(self) -> str:
        """The words of a run as if nothing divided them."""
        return "".join(self.parts)


def units(folded: str) -> Iterator[Unit]:
    """The units of a text, in order."""
    pattern = _ASCII_UNITS if folded.isascii() else _UNITS
    for found in pattern.finditer(folded):
        kind = _KINDS[found.lastgroup or ""]
        text = found.group()
        suffix = ""
        if kind == "run":
            plain = text.rstrip("+#")
            suffix = text[len(plain) :]
            parts = plain.split(MARKED)
        else:
            parts = _CHARACTERS.findall(text) if kind == "row" else [text]
        yield Unit(kind, parts, suffix, *found.span())


def bare_words(word: str) -> list[str]:
    """An Arabic or Hebrew word without the article or prepositions that may be part of it."""
    if len(word) < MIN_PREFIXED or word.isascii():
        return []
    if "\u0620" <= word[0] <= "\u06ff":
        return _bare_arabic(word)
    if word[0] in _HEBREW_LETTERS:
        twice = len(word) > MIN_PREFIXED and word[1] in _HEBREW_LETTERS
        return [word[1:], word[2:]] if twice else [word[1:]]
    return []


def _bare_arabic(word: str) -> list[str]:
    found = {word[len(prefix) :] for prefix in ("ال", "لل", *_CONJUNCTIONS) if word.startswith(prefix)}
    found |= {word[3:] for one in _CONJUNCTIONS if word.startswith(one + "ال")}
    return sorted(bare for bare in found if len(bare) >= MIN_PREFIXED - 1)
