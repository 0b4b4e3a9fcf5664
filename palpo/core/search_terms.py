"""What a search asks for, what it finds, and how well that matches.

A term's words, with space between them, are all wanted, anywhere. One of them (``e-mail``, ``example.org``,
``鈴虫``) may have several units (``core.text_units``), which have to be in the text one after the other:

- The last word of a run may go on in the text: ``server`` finds ``servers``; of three letters, by one more.
  Numbers and shorter words do not. ``servers`` finds ``server``.
- What apostrophes, hyphens, underscores and capitals divide is found undivided, and the other way round;
  other signs between words stand for each other.
- The characters of a row are found as they are written, with nothing between them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Final

import regex

from palpo.core.folded_text import BORDER, MARKED, SOLID, fold, is_overlong, marked
from palpo.core.search_text import MAX_TEXT, comparable, pair_token, row_prefix, sign_token, word_token
from palpo.core.text_units import (
    ARABIC_PREFIX,
    HEBREW_PREFIX,
    MIN_PREFIXED,
    Unit,
    bare_words,
    units,
)

MAX_GROUPS: Final = 32
"""Of tokens that the index is asked for."""
MAX_WORDS: Final = 32
MAX_WORD: Final = 256
"""Characters of a word of a term that are looked at."""
MAX_DIVIDED: Final = 100
"""Letters of a word that is found divided, too."""
MAX_COUNTED: Final = 50
"""Times that a word is counted in one text."""
MAX_HIGHLIGHTS: Final = 50
MAX_HIGHLIGHTED: Final = 2048
"""Characters of one text that are looked through for words to highlight."""

_LONG: Final = 4
"""Letters of a word that may go on in any way."""
_FLAG: Final = r"\p{Regional_Indicator}"
_BEFORE_SIGN: Final = rf"(?<!\u200d|(?<!{_FLAG})(?:{_FLAG}{{2}})*{_FLAG})"
"""Emoji may be joined to others, and flags are pairs of letters: neither is found across two of them."""
_SATURATION, _LENGTH_WEIGHT, _USUAL_LENGTH = 1.2, 0.75, 80
"""Of BM25: how soon repetition counts for less, and how much the length of a text (in characters) matters."""
_BEGINNING, _PHRASE = 0.5, 0.5
"""What a word that goes on counts, of a whole one; what the words together, in order, count beside."""
_DIVIDING: Final = frozenset(("'", "_", "-", MARKED, BORDER))
_CHARACTERS = regex.compile(r"\X")
_NEXT_LETTERS = regex.compile(rf"(?<![{SOLID}])\w*")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Word:
    """One word of a term."""

    pattern: regex.Pattern[str]
    inner: str
    """The expression without what must be before it."""


class SearchTerm:
    """A term, ready to be compared with texts."""

    def __init__(self, term: str) -> None:
        self.groups: list[str] = []
        """What the index is asked: see ``storage.search.Wanted``."""
        self._words: list[_Word] = []
        self.typed: list[str] = []
        """The words as they were typed, in lower case."""
        for chunk in term.split()[:MAX_WORDS]:
            chunk = chunk[:MAX_WORD]
            found = list(units(marked(chunk)))
            if found:
                self._add(chunk, found)
        self.groups = list(dict.fromkeys(self.groups))[:MAX_GROUPS]
        phrase = r"\W{1,6}".join(word.inner for word in self._words)
        self._phrase = regex.compile(phrase) if len(self._words) > 1 else None

    def _add(self, chunk: str, found: Sequence[Unit]) -> None:
        inner = _expression(found)
        if any(word.inner == inner for word in self._words):
            return
        before = r"(?<!\w)" if found[0].kind == "run" else ""
        self._words.append(_Word(pattern=regex.compile(f"{before}(?:{inner})"), inner=inner))
        self.typed.append(chunk.lower().strip("\"'.,;:!?()[]{}<>"))
        for number, unit in enumerate(found):
            self.groups += _groups(unit, last=number == len(found) - 1)

    def rank(self, text: str) -> float:
        """How well a text matches: the better the higher, 0 if it does not.

        BM25 without the weight of rare words, since every word has to be there. It depends on nothing but
        the text and the term, so it can be paged by.
        """
        folded = comparable(text)
        norm = _SATURATION * (1 - _LENGTH_WEIGHT + _LENGTH_WEIGHT * len(folded) / _USUAL_LENGTH)
        score = 0.0
        for word in self._words:
            count = _count(word, folded)
            if not count:
                return 0.0
            score += count * (_SATURATION + 1) / (count + norm)
        if self._phrase is not None and self._phrase.search(folded):
            score += _PHRASE
        return round(max(score, 1e-6), 6) if self._words else 0.0

    def highlights(self, texts: Sequence[str]) -> list[str]:
        """The words of the term, and those that stand for them in ``texts``, as they are written there."""
        found = {typed: typed for typed in self.typed if typed}
        for text in texts:
            for piece in self._written(text):
                if len(found) == MAX_HIGHLIGHTS:
                    break
                found.setdefault(piece.lower(), piece)
        return list(found.values())

    def _written(self, text: str) -> Iterator[str]:
        folded, places = _aligned(text[:MAX_HIGHLIGHTED])
        for word in self._words:
            for match in islice(word.pattern.finditer(folded), MAX_COUNTED):
                end = _end_of_word(folded, match.end())
                start, stop = places[match.start()], places[end]
                piece = text[start:stop].strip()
                if piece:
                    yield piece


def _expression(found: Sequence[Unit]) -> str:
    """What the units of one word look like in a text, one after the other."""
    pieces: list[str] = []
    for number, unit in enumerate(found):
        if number and unit.start != found[number - 1].end:
            pieces.append(r"\W{1,6}")
        after_sign = number > 0 and found[number - 1].kind == "sign" and unit.start == found[number - 1].end
        if unit.kind == "sign" and not after_sign:
            pieces.append(_BEFORE_SIGN)
        pieces.append(_of_unit(unit, first=number == 0, last=number == len(found) - 1))
    return "".join(pieces)


def _of_unit(unit: Unit, *, first: bool, last: bool) -> str:
    if unit.kind == "row":
        return rf"{regex.escape(unit.joined)}(?!\p{{M}})"
    if unit.kind == "sign":
        return rf"{regex.escape(unit.joined)}(?![\u200d\U000e0020-\U000e007f])"
    return _of_run(unit, first=first, last=last)


def _of_run(unit: Unit, *, first: bool, last: bool) -> str:
    word = unit.parts[-1]
    if unit.suffix:
        end = rf"{_letters(word)}{regex.escape(unit.suffix)}(?![+\#\p{{L}}])"
    else:
        forms = [f"{_letters(form.word)}{_after(form)}" for form in _forms(word, last=last)]
        end = f"(?:{'|'.join(forms)})"
    pieces = [f"{_letters(part)}{_between(part, after)}" for part, after in pairwise(unit.parts)]
    return "".join([_prefix(unit.parts[0]) if first else "", *pieces, end])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """A form of a word, and by how many letters it may go on: None for any number."""

    word: str
    more: int | None


def _forms(word: str, *, last: bool) -> list[_Form]:
    """The forms of a word that are looked for, itself the first; only the last word of several goes on."""
    if not last or word[-1].isdigit() or len(word) < _LONG - 1:
        return [_Form(word=word, more=0)]
    forms = [_Form(word=word, more=None if len(word) >= _LONG else 1)]
    if word.isascii():
        singulars = (word.removesuffix(ending) for ending in ("s", "es"))
        forms += [_Form(word=one, more=0) for one in singulars if one != word and len(one) >= _LONG - 1]
        forms += [_Form(word=word + "es", more=0)] if len(word) < _LONG else []
    elif regex.match(ARABIC_PREFIX, word):
        forms += [_Form(word=bare, more=None) for bare in bare_words(word) if word.endswith("ال" + bare)]
    return forms


def _after(form: _Form) -> str:
    if form.more is None:
        return r"(?!\p{M})"
    return rf"(?!\p{{M}})(?=\w{{0,{form.more}}}(?!\w))"


def _letters(word: str) -> str:
    """The letters of a word, between which there may be something that divides words within a word."""
    if len(word) > MAX_DIVIDED:
        return regex.escape(word)
    pieces = [regex.escape(word[0])]
    for before, letter in pairwise(word):
        between = (
            "" if regex.match(r"\p{M}", letter) or (before.isdigit() and letter.isdigit()) else MARKED + "?"
        )
        pieces.append(between + regex.escape(letter))
    return "".join(pieces)


def _between(part: str, after: str) -> str:
    """What may be between two words of a run."""
    least = 1 if part[-1].isdigit() and after[0].isdigit() else 0
    return rf"\W{{{least},3}}"


def _prefix(word: str) -> str:
    """What may be written before a word as part of it."""
    if word.isascii() or len(word) < MIN_PREFIXED - 1:
        return ""
    if "\u0620" <= word[0] <= "\u06ff":
        return f"{ARABIC_PREFIX}?"
    return f"{HEBREW_PREFIX}?" if "\u05d0" <= word[0] <= "\u05ea" else ""


def _groups(unit: Unit, *, last: bool) -> Iterator[str]:
    parts = unit.parts
    if unit.kind == "sign":
        yield sign_token(parts[0])
    elif unit.kind == "row":
        if len(parts) == 1:
            yield row_prefix(parts[0]) + "*"
        yield from (pair_token(first, second) for first, second in pairwise(parts))
    else:
        joined = [] if len(parts) == 1 or unit.joined.isdigit() else _alternatives(unit.joined, last=last)
        for number, part in enumerate(parts):
            final = number == len(parts) - 1
            if final and unit.suffix:
                yield word_token(part + unit.suffix)
            else:
                yield "|".join([*joined, *_alternatives(part, last=last and final)])


def _alternatives(word: str, *, last: bool) -> list[str]:
    forms = _forms(word, last=last)
    return [word_token(form.word) + ("" if form.more == 0 else "*") for form in forms]


def _count(word: _Word, folded: str) -> float:
    """How often a word is in a text; where it only begins a longer one, that counts less."""
    count = 0.0
    for match in islice(word.pattern.finditer(folded), MAX_COUNTED):
        goes_on = _end_of_word(folded, match.end()) > match.end()
        count += _BEGINNING if goes_on else 1
    return count


def _end_of_word(folded: str, place: int) -> int:
    letters = _NEXT_LETTERS.match(folded, place)
    return place if letters is None else letters.end()


def _aligned(text: str) -> tuple[str, list[int]]:
    """What of a text is looked at, and where in the text each character of that comes from, and the end."""
    folded = comparable(text)
    if is_overlong(text):
        return "", [0]
    places: list[int] = []
    for character in _CHARACTERS.finditer(text[:MAX_TEXT]):
        start, plain = character.start(), fold(character.group())
        while folded.startswith((MARKED, BORDER), len(places)) and plain not in _DIVIDING:
            places.append(start)
        if not folded.startswith(plain, len(places)) and plain not in _DIVIDING:
            return "", [0]
        places += [start] * len(plain)
    return folded[: len(places)], [*places, min(len(text), MAX_TEXT)]
