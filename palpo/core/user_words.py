"""What users are found by in the user directory: the words of their names, in all scripts.

Names are compared as texts are in searches (``core.folded_text``, ``core.text_units``). A user is found by
the beginnings of words; in a script that puts no space between words, from any character on.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from palpo.core.folded_text import fold, marked
from palpo.core.identifiers import localpart_of
from palpo.core.text_units import Unit, bare_words, units

VERSION: Final = 2
"""Of the words. Those of another version are made anew (``services.reading.user_directory``)."""
MAX_WORD = 64
"""Bytes of a word that are kept."""
MAX_WORDS = 64
"""Words of one name."""
MAX_NAME = 1024
"""Characters of a name, or of what is asked for, that are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A word that is asked for: a name has it, or all its parts, at the beginning of words."""

    joined: bytes
    parts: list[bytes]

    def is_in(self, known: Collection[bytes]) -> bool:
        """Whether one of ``known``, or several for the parts, begin with this."""
        return _begins(known, self.joined) or all(_begins(known, part) for part in self.parts)

    def is_whole_in(self, known: Collection[bytes]) -> bool:
        """Whether this is one of ``known``."""
        return self.joined in known


def words(text: str) -> list[bytes]:
    """The first words of ``text``, each cut to what is kept of one."""
    found = (_kept(word) for unit in units(marked(text[:MAX_NAME])) for word in _words_of(unit))
    return list(islice(dict.fromkeys(word for word in found if word), MAX_WORDS))


def asked(text: str) -> list[Asked]:
    """The words that somebody asks for."""
    found = []
    for unit in islice(units(marked(text[:MAX_NAME])), MAX_WORDS):
        parts = unit.parts if unit.kind == "run" else [unit.joined]
        found.append(Asked(joined=_kept(unit.joined), parts=[_kept(part) for part in parts[:MAX_WORDS]]))
    return found


def words_of_user(user_id: str, display_name: str | None) -> list[bytes]:
    """The words that a user with that name is found by."""
    localpart = localpart_of(user_id)
    whole = _kept(fold(localpart))
    return list(dict.fromkeys([whole, *words(localpart), *words(display_name or "")]))


def _words_of(unit: Unit) -> Iterator[str]:
    for number, part in enumerate(unit.parts):
        if unit.kind == "run":
            yield part
            yield from bare_words(part)
        if unit.kind == "row" or number < len(unit.parts) - 1:
            yield "".join(unit.parts[number : number + MAX_WORD])
    if unit.kind == "sign":
        yield unit.joined


def _kept(word: str) -> bytes:
    return word.encode("utf-8", "ignore")[:MAX_WORD]


def _begins(known: Collection[bytes], wanted: bytes) -> bool:
    """Whether one of ``known`` begins with ``wanted``, and not in the middle of a character."""
    return any(
        word.startswith(wanted) and not _is_mark(word[len(wanted) :].decode("utf-8", "ignore")[:1])
        for word in known
    )


def _is_mark(character: str) -> bool:
    return character != "" and unicodedata.category(character).startswith("M")
