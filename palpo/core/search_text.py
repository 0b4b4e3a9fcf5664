"""What events are found by (spec: client-server API, "Server Side Search").

The units of a text (``core.text_units``) become tokens of ASCII letters and digits, so that every database's
full-text index takes them whole, whatever it thinks of languages, short words or words that are too common:

    q0 and an ASCII word; q1 and any other word, four base-36 digits a character
    q2 and a character of a row, ``z``, and the character after it if there is one
    q3 and a sign

The beginning of a word's token is the token of the word's beginning, and a token that would be too long is
cut. So the index may find an event too many, never one too few: what it finds is compared with the text
itself (``core.search_terms``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

from palpo.core.folded_text import MARKED, marked
from palpo.core.text_units import Unit, bare_words, units

VERSION: Final = 2
"""Of the tokens. Entries of another version are made anew (``services.reading.search_index``)."""

BODY, NAME, TOPIC = "content.body", "content.name", "content.topic"
KEY_OF_TYPE: Final[Mapping[str, str]] = {"m.room.message": BODY, "m.room.name": NAME, "m.room.topic": TOPIC}
"""The one key that is searched of each type of event."""

MAX_TEXT: Final = 16_384
"""Characters of one event that are looked at."""
LONG: Final = 2048
"""Characters of a text that is not compared, or cut into words, on the event loop."""
MAX_TOKENS: Final = 2000
"""Different tokens of one event."""
MAX_BYTES: Final = 49_152
"""Bytes of one event's tokens."""
MAX_TOKEN: Final = 80
"""Characters; InnoDB leaves words of over 84 out of its index."""
MAX_JOINED: Final = 8
"""Words of a run that may be the first of several that are found as if they were one."""

_ASCII_WORD: Final = re.compile("[a-z0-9]+")
_MORE_THAN_WORDS: Final = re.compile(f"[{MARKED}+#$]")
"""Where a text of ASCII has none of these, its units are its words."""
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_END: Final = "z"
"""No character's code begins with it."""


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


def comparable(text: str) -> str:
    """What of a text is looked at, in the form in which it is looked at."""
    return marked(text[:MAX_TEXT])[:MAX_TEXT]


def tokens(text: str) -> list[str]:
    """The tokens of ``text``, each once, in the order in which they come."""
    folded = comparable(text)
    if folded.isascii() and _MORE_THAN_WORDS.search(folded) is None:
        # What most messages are, by a shorter way: these are never over MAX_BYTES.
        return list(dict.fromkeys(map(word_token, _ASCII_WORD.findall(folded))))[:MAX_TOKENS]
    found: dict[str, None] = {}
    size = 0
    for token in _all_tokens(folded):
        if token not in found:
            size += len(token) + 1
            if size > MAX_BYTES or len(found) == MAX_TOKENS:
                return list(found)
            found[token] = None
    return list(found)


def _all_tokens(folded: str) -> Iterator[str]:
    return (token for unit in units(folded) for token in _tokens_of(unit))


def _tokens_of(unit: Unit) -> Iterator[str]:
    parts = unit.parts
    if unit.kind == "sign":
        yield sign_token(parts[0])
    elif unit.kind == "row":
        for first, second in zip(parts, [*parts[1:], ""], strict=True):
            yield pair_token(first, second)
    else:
        for part in parts:
            yield word_token(part)
            yield from map(word_token, bare_words(part))
        for start in range(min(len(parts) - 1, MAX_JOINED)):
            yield word_token("".join(parts[start:]))
        if unit.suffix:
            yield word_token(parts[-1] + unit.suffix)


@lru_cache(maxsize=16_384)
def word_token(word: str) -> str:
    """The token of a word, which is cut where it would be too long."""
    if word.isascii() and word.isalnum():
        return ("q0" + word)[:MAX_TOKEN]
    return ("q1" + _code(word[:MAX_TOKEN]))[:MAX_TOKEN]


@lru_cache(maxsize=16_384)
def pair_token(first: str, second: str) -> str:
    """The token of a character of a row and the one after it."""
    return f"{row_prefix(first)}{_code(second[:MAX_TOKEN])}"[:MAX_TOKEN]


def row_prefix(character: str) -> str:
    """What the tokens of a character of a row begin with, whatever comes after it."""
    return f"q2{_code(character[:MAX_TOKEN])}{_END}"[:MAX_TOKEN]


def sign_token(sign: str) -> str:
    """The token of a sign."""
    return ("q3" + _code(sign[:MAX_TOKEN]))[:MAX_TOKEN]


def _code(text: str) -> str:
    return "".join(map(_code_of, text))


@lru_cache(maxsize=16_384)
def _code_of(character: str) -> str:
    point, digits = ord(character), ""
    for _ in range(4):
        point, digit = divmod(point, 36)
        digits = _DIGITS[digit] + digits
    return digits


@lru_cache(maxsize=1024)
def room_token(room_id: str) -> str:
    """The token that every entry of a room has beside its words."""
    return "z0" + blake2b(room_id.encode("utf-8", "replace"), digest_size=8).hexdigest()
