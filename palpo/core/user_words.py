"""What users are found by in the user directory: the words of their names."""

from __future__ import annotations

import re
import unicodedata

from palpo.core.identifiers import localpart_of

MAX_WORD = 64
"""Bytes of a word that are kept."""
MAX_WORDS = 32
"""Words of one name."""
_WORD = re.compile(r"\w+")


def fold(text: str) -> str:
    """``text`` such that texts which differ in case or in width only are the same."""
    return unicodedata.normalize("NFKC", text).casefold()


def words(text: str) -> list[bytes]:
    """The first words of ``text``, each cut to what is kept of one."""
    found = (word.encode("utf-8", "ignore")[:MAX_WORD] for word in _WORD.findall(fold(text)[:4096]))
    return list(dict.fromkeys(word for word in found if word))[:MAX_WORDS]


def words_of_user(user_id: str, display_name: str | None) -> list[bytes]:
    """The words that a user with that name is found by."""
    localpart = localpart_of(user_id)
    whole = fold(localpart).encode("utf-8", "ignore")[:MAX_WORD]
    return list(dict.fromkeys([whole, *words(localpart), *words(display_name or "")]))
