"""What waits, in one line for each room."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Lines(Generic[T]):
    """From the front of a line some are taken, and nothing more of that line until these are done."""

    def __init__(self, *, is_alone: Callable[[T], bool]) -> None:
        """``is_alone`` says what is not taken together with others."""
        self._is_alone = is_alone
        self._lines: dict[Hashable, list[T]] = {}
        self._open: deque[Hashable] = deque()
        """Those of which something can be taken: the one whose turn it is first."""

    def __bool__(self) -> bool:
        """Whether anything can be taken."""
        return bool(self._open)

    def add(self, key: Hashable, item: T) -> None:
        """Have ``item`` wait at the end of a line."""
        if key not in self._lines:
            self._lines[key] = []
            self._open.append(key)
        self._lines[key].append(item)

    def take(self, most: int) -> tuple[Hashable, list[T]]:
        """The first of the line whose turn it is, and its key, with which ``done`` is to be called."""
        key = self._open.popleft()
        line = self._lines[key]
        alone = next((index for index, item in enumerate(line[:most]) if self._is_alone(item)), most)
        taken = line[: alone or 1]
        del line[: len(taken)]
        return key, taken

    def done(self, key: Hashable, again: Sequence[T] = ()) -> None:
        """What was taken of a line is done, but for what is to be taken ``again``, before the rest."""
        self._lines[key][:0] = again
        if self._lines[key]:
            self._open.append(key)
        else:
            del self._lines[key]

    def drain(self) -> list[T]:
        """Take all that waits; ``done`` is not to be called for that."""
        waiting = [item for line in self._lines.values() for item in line]
        for line in self._lines.values():
            line.clear()
        while self._open:
            del self._lines[self._open.pop()]
        return waiting
