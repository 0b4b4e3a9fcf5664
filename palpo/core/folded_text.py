"""Text as searches compare it, in all scripts: other ways to write the same are the same.

Folded text differs from what was written in this:

- compatibility forms (full and half width, ligatures, circled letters) are the plain ones, and it is composed
  (NFKC);
- case is folded, the Turkish dotted and dotless i are ``i``;
- accents of Latin and Greek letters are gone (``é ø đ ł`` are ``e o d l``), Russian ``ё`` is ``е``, and
  stress marks are gone. Where a mark makes another letter (``й``, ``が``, every vowel sign of an Indic
  script), it stays;
- Arabic vowel marks and tatweel, Hebrew points and accents are gone; forms of one Arabic letter are that
  letter;
- decimal digits are ASCII;
- apostrophes and hyphens are ``'`` and ``-``;
- what cannot be seen (soft hyphens, joiners, marks of direction, variation selectors) and skin tones are
  gone, but what joins emoji to one stays.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

import regex

SOLID: Final = (
    r"\u0e00-\u0fff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u1950-\u19ff\u1a20-\u1aaf\u1b00-\u1b7f\u2e80-\u2fdf"
    r"\u3005-\u3007\u3021-\u3029\u3031-\u3035\u303b\u303c\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3100-\u318f"
    r"\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\ua960-\ua97f\ua980-\ua9ff\uaa60-\uaadf"
    r"\uac00-\ud7ff\uf900-\ufaff\U00016fe0-\U00018dff\U0001b000-\U0001b2ff\U00020000-\U0003ffff"
)
"""The blocks of scripts that put no space between words, or join words freely (Korean)."""
MARKED: Final = "\x1f"
"""Where ``marked`` finds a new word within a word: ``camelCase``, ``snake_case``, ``e-mail``, ``don't``."""
BORDER: Final = "\x1e"
"""Where in a text that ``marked`` has made a script of SOLID begins or ends within a word."""

_MAX_MARKS = 8
"""Marks of one character that are looked at: to put n in order takes time like n²."""
_MAX_FLAGS = 64
"""Letters of flags in a row that are looked at: which two are a flag is counted from the first."""
_MANY = regex.compile(
    rf"(\p{{M}}{{{_MAX_MARKS}}})\p{{M}}+"
    rf"|(\p{{Regional_Indicator}}{{{_MAX_FLAGS}}})\p{{Regional_Indicator}}+"
)
_SEPARATORS = str.maketrans({MARKED: " ", BORDER: " "})
_CONNECTORS = regex.compile(r"(?<=[\p{L}\p{M}\p{N}])['_\-](?=[\p{L}\p{N}])")
_BORDERS = regex.compile(
    rf"(?<=[{SOLID}])(?=[[\p{{L}}\p{{N}}]--[{SOLID}]])|(?<=[[\p{{L}}\p{{N}}]--[{SOLID}]])(?=[{SOLID}])",
    regex.V1,
)
_JOINERS = regex.compile(r"(?<!\p{Extended_Pictographic})\u200d|\u200d(?!\p{Extended_Pictographic})")
_SOLID_BREAKS = regex.compile(rf"(?<=[{SOLID}])\u200b(?=[{SOLID}])")
_INNER_WORDS = regex.compile(
    r"(?<=[\p{Ll}])(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll}{2})"
    rf"|(?<=[\p{{L}}--[{SOLID}]]{{2}})(?=\p{{Nd}}{{2}})|(?<=\p{{Nd}}{{2}})(?=[\p{{L}}--[{SOLID}]]{{2}})",
    regex.V1,
)

# The same for ASCII, where they are many times as quick.
_ASCII_CONNECTORS = re.compile(r"(?<=[A-Za-z0-9])['_\-](?=[A-Za-z0-9])")
_ASCII_INNER_WORDS = re.compile(
    r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]{2})"
    r"|(?<=[A-Za-z]{2})(?=[0-9]{2})|(?<=[0-9]{2})(?=[A-Za-z]{2})"
)
_MAY_HAVE_INNER_WORDS = re.compile(r"[A-Za-z0-9][A-Z0-9]|[0-9][A-Za-z]")


def fold(text: str) -> str:
    """The folded form of ``text``, which may be of another length."""
    if text.isascii():
        return text.lower()
    return _folded(_prepared(text))


def marked(text: str) -> str:
    """The same, with MARKED and BORDER where words meet within a word, and no other underscores."""
    if text.isascii():
        return _marked_ascii(text)
    plain = _INNER_WORDS.sub(MARKED, _prepared(text.translate(_SEPARATORS)))
    folded = plain.lower() if plain.isascii() else _BORDERS.sub(BORDER, _folded(plain))
    return _CONNECTORS.sub(MARKED, folded).replace("_", " ")


def _marked_ascii(text: str) -> str:
    if MARKED in text or BORDER in text:
        text = text.translate(_SEPARATORS)
    if _MAY_HAVE_INNER_WORDS.search(text):
        text = _ASCII_INNER_WORDS.sub(MARKED, text)
    text = text.lower()
    if "_" in text or "-" in text or "'" in text:
        return _ASCII_CONNECTORS.sub(MARKED, text).replace("_", " ")
    return text


def is_overlong(text: str) -> bool:
    """Whether there are more marks or flags in a row than are looked at."""
    return _MANY.search(text) is not None


def _prepared(text: str) -> str:
    text = unicodedata.normalize("NFKC", _MANY.sub(r"\1\2", text)).translate(_INVISIBLE)
    return _JOINERS.sub("", _SOLID_BREAKS.sub("", text))


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text.casefold()).translate(_LETTERS)


_LATIN_AND_GREEK: Final = (
    (0x00C0, 0x0250),
    (0x0370, 0x0400),
    (0x1E00, 0x2000),
    (0x2C60, 0x2C80),
    (0xA720, 0xA800),
)
_ACCENTS: Final = ((0x0300, 0x0370), (0x1AB0, 0x1B00), (0x1DC0, 0x1E00), (0x20D0, 0x2100), (0xFE20, 0xFE30))
_ARABIC_MARKS: Final = (
    (0x0610, 0x061B),
    (0x0640, 0x0641),
    (0x064B, 0x0660),
    (0x0670, 0x0671),
    (0x06D6, 0x06DD),
    (0x06DF, 0x06E5),
    (0x06E7, 0x06E9),
    (0x06EA, 0x06EE),
    (0x08CA, 0x0900),
)
_HEBREW_MARKS: Final = (
    (0x0591, 0x05BE),
    (0x05BF, 0x05C0),
    (0x05C1, 0x05C3),
    (0x05C4, 0x05C6),
    (0x05C7, 0x05C8),
)
_SYRIAC_MARKS: Final = ((0x0711, 0x0712), (0x0730, 0x074B))
_UNSEEN: Final = (
    (0x00AD, 0x00AE),
    (0x034F, 0x0350),
    (0x061C, 0x061D),
    (0x180B, 0x1810),
    (0x200C, 0x200D),
    (0x200E, 0x2010),
    (0x202A, 0x202F),
    (0x2060, 0x2070),
    (0xFE00, 0xFE10),
    (0xFEFF, 0xFF00),
    (0x1F3FB, 0x1F400),
    (0xE0100, 0xE01F0),
)
_OTHER_LETTERS: Final = {
    "ø": "o",
    "đ": "d",
    "ð": "d",
    "ł": "l",
    "ħ": "h",
    "ŧ": "t",
    "ı": "i",
    "ŋ": "n",
    "þ": "th",
    **dict.fromkeys("أإآٱ", "ا"),
    "æ": "ae",
    "œ": "oe",
    "ё": "е",
    **dict.fromkeys("ئىیے", "ي"),
    **dict.fromkeys("ةۀ", "ه"),
    "ؤ": "و",
    "ک": "ك",
    **dict.fromkeys("\u2018\u2019\u201b\u02bb\u02bc\u02b9\u2032\u05f3`\u00b4", "'"),
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u058a\u05be", "-"),
}


def _each(*ranges: tuple[int, int]) -> Iterator[int]:
    for start, end in ranges:
        yield from range(start, end)


def _without_accents(char: str) -> str:
    decomposed = unicodedata.normalize("NFD", char)
    return "".join(part for part in decomposed if not unicodedata.combining(part))


def _letters() -> dict[int, str]:
    table = {point: _without_accents(chr(point)) for point in _each(*_LATIN_AND_GREEK)}
    table = {point: plain for point, plain in table.items() if plain != chr(point)}
    table |= dict.fromkeys(_each(*_ACCENTS, *_ARABIC_MARKS, *_HEBREW_MARKS, *_SYRIAC_MARKS), "")
    digits = ((point, chr(point)) for point in range(0x0660, 0x1FC00))
    table |= {point: str(unicodedata.decimal(char)) for point, char in digits if char.isdecimal()}
    return table | {ord(char): plain for char, plain in _OTHER_LETTERS.items()}


_LETTERS: Final = _letters()
_INVISIBLE: Final = dict.fromkeys(_each(*_UNSEEN), "")
