"""Which words an event is found by, and how well it matches (spec: client-server API, "Server Side Search").

Words become tokens of ASCII letters and digits, so that every database's full-text index takes them
whole, whatever it thinks of languages, short words or words that are too common: ``q0`` and the word,
or ``q1`` and its UTF-8 in base 32, or ``q2`` and a hash where that would be too long. Words that
differ in case, width or accents only have the same token.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

BODY, NAME, TOPIC = "content.body", "content.name", "content.topic"
KEY_OF_TYPE: Final[Mapping[str, str]] = {"m.room.message": BODY, "m.room.name": NAME, "m.room.topic": TOPIC}
"""The one key that is searched of each type of event."""

MAX_TEXT: Final = 16_384
"""Characters of one event that are looked at."""
MAX_TOKENS: Final = 2000
"""Words of one event that it is found by."""
MAX_WANTED: Final = 32
"""Words of a search term that are looked for."""
MAX_TOKEN: Final = 80
"""Characters; InnoDB leaves words of over 84 out of its index."""

# Scripts that put no space between words: each character is a word.
_SOLID = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_SOLID += "\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_SOLID}]|(?:(?![{_SOLID}])[^\W_])+")
_SATURATION, _LENGTH_WEIGHT, _USUAL_LENGTH = 1.2, 0.75, 16
"""Of BM25: how soon repetition counts for less, and how much the length of a text matters."""


def searchable_text(type_: str, content: Mapping[str, Any]) -> str | None:
    """The text that an event is found by; None where it is never found."""
    key = KEY_OF_TYPE.get(type_)
    if key is None:
        return None
    plain = content.get(key.removeprefix("content."))
    texts = [plain] if isinstance(plain, str) else []
    if key == TOPIC:
        texts += [text for text in _plain_topics(content.get("m.topic")) if text != plain]
    return "\n".join(texts) or None


def _plain_topics(topic: object) -> Iterator[str]:
    """The plain text representations in ``m.topic``."""
    representations = topic.get("m.text") if isinstance(topic, dict) else None
    for item in representations if isinstance(representations, list) else ():
        if isinstance(item, dict) and item.get("mimetype", "text/plain") == "text/plain":
            body = item.get("body")
            if isinstance(body, str):
                yield body


def tokens(text: str) -> list[str]:
    """The tokens of ``text`` in order, repeated as often as their words are."""
    found = (_token(word) for word in _words(text))
    return [token for token in found if token][:MAX_TOKENS]


def wanted_tokens(term: str) -> dict[str, str]:
    """The tokens that a search term asks for, each with its word as it is to be highlighted."""
    wanted: dict[str, str] = {}
    for word in _words(term):
        token = _token(word)
        if token and len(wanted) < MAX_WANTED:
            wanted.setdefault(token, word)
    return wanted


def rank(found: Sequence[str], wanted: Iterable[str]) -> float:
    """How well an event with the tokens ``found`` matches: above 0, the better the higher.

    BM25 without the weight of rare words, since every word has to be there. It depends on nothing but
    the event and the term, so it can be paged by.
    """
    counts = Counter(found)
    norm = _SATURATION * (1 - _LENGTH_WEIGHT + _LENGTH_WEIGHT * len(found) / _USUAL_LENGTH)
    score = sum(counts[token] * (_SATURATION + 1) / (counts[token] + norm) for token in wanted)
    return round(score, 6)


def room_token(room_id: str) -> str:
    """The token that every entry of a room has beside its words."""
    return "z0" + blake2b(room_id.encode("utf-8", "replace"), digest_size=8).hexdigest()


def _words(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFKC", text[:MAX_TEXT]).casefold())


@lru_cache(maxsize=16_384)
def _token(word: str) -> str:
    """The token of a folded word; empty where nothing is left of it."""
    decomposed = unicodedata.normalize("NFKD", word)
    plain = "".join(char for char in decomposed if unicodedata.category(char) != "Mn")
    if not plain:
        return ""
    if plain.isascii():
        token = "q0" + plain
    else:
        encoded = base64.b32hexencode(plain.encode("utf-8", "replace")).decode().rstrip("=")
        token = "q1" + encoded.lower()
    if len(token) <= MAX_TOKEN:
        return token
    return "q2" + blake2b(plain.encode("utf-8", "replace"), digest_size=16).hexdigest()
