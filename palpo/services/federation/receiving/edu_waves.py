"""Which EDUs of a transaction can be taken in at the same time: those that are about different things."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from palpo.wire.federation.device_edus import DIRECT_TO_DEVICE

Content = dict[str, Any]
Received = tuple[str, Content]
"""An EDU's type and content."""


def waves(edus: Iterable[Received]) -> Iterator[list[Received]]:
    """The EDUs in their order, cut up so that no two of a part are about the same room or user.

    Those of which it is not known what they are about have a part of their own.
    """
    wave: list[Received] = []
    about: set[str] = set()
    for edu_type, content in edus:
        subjects = _subjects(edu_type, content)
        if wave and (not subjects or not about or not about.isdisjoint(subjects)):
            yield wave
            wave, about = [], set()
        wave.append((edu_type, content))
        about.update(subjects)
    if wave:
        yield wave


def _subjects(edu_type: str, content: Content) -> Collection[str]:
    """The rooms or users that an EDU is about; none where that is not known."""
    find = _SUBJECTS.get(edu_type)
    return find(content) if find is not None else ()


def _room(content: Content) -> Collection[str]:
    room_id = content.get("room_id")
    return (room_id,) if isinstance(room_id, str) else ()


def _recipients(content: Content) -> Collection[str]:
    messages = content.get("messages")
    return messages.keys() if isinstance(messages, dict) else ()


_SUBJECTS: Mapping[str, Callable[[Content], Collection[str]]] = {
    "m.typing": _room,
    "m.receipt": lambda content: content.keys(),
    DIRECT_TO_DEVICE: _recipients,
}
