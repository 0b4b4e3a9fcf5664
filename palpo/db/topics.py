"""Topics: what a commit changes, and what somebody waits for; each is a kind, and a key such as a room's ID.

Which kinds there are is said in ``palpo.streams.topics``. Here is the form that topics have within a process,
by kind, and between processes, as text: ``kind:key``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

EVERYTHING = "*"
"""The text that stands for every topic."""


class Kind(str):
    """A kind of topic, by its name: kinds of one name are equal."""

    __slots__ = ()


Topics = Mapping[Kind, Set[str]]
"""The keys of each kind. A kind without a key is left out."""


def merged(parts: Iterable[Mapping[Kind, Iterable[str]]]) -> dict[Kind, set[str]]:
    """All topics of the ``parts``."""
    found: dict[Kind, set[str]] = {}
    for part in parts:
        for kind, keys in part.items():
            known = found.get(kind)
            if known is None:
                found[kind] = set(keys)
            else:
                known.update(keys)
    return found


def disjoint(one: Topics, other: Topics) -> bool:
    """Whether no topic is in both."""
    return all(kind not in other or keys.isdisjoint(other[kind]) for kind, keys in one.items())


def to_texts(topics: Topics) -> list[str]:
    """The topics as text, sorted."""
    return sorted(f"{kind}:{key}" for kind, keys in topics.items() for key in keys)


def from_texts(texts: Iterable[str]) -> dict[Kind, set[str]]:
    """The topics that ``to_texts`` wrote."""
    found: dict[Kind, set[str]] = {}
    for text in texts:
        kind, _, key = text.partition(":")
        found.setdefault(Kind(kind), set()).add(key)
    return found
