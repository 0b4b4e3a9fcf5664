"""What is known of one user's unread events in one room: exact, small, and quick to change.

    marks    thread → the event's position up to which it has been read
    threads  thread → the positions of the unread events in it that notify, and of those that are highlighted

A read receipt, a redaction and a new event each cost a search in sorted positions, however much is unread.
An unread event takes 4 bytes in memory (8 where positions have grown beyond 32 bits), and one or two in a
checkpoint.
"""

from __future__ import annotations

import zlib
from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from itertools import accumulate, chain, pairwise
from typing import Final

import msgspec

UNTHREADED: Final = ""
"""Stands for all threads of a room."""
_SMALL: Final = (1 << 32) - 1
"""The largest position that takes 4 bytes."""
MAX_UNREAD: Final = 5_000
"""Unread events of a room that are counted: the newest that notify."""


@dataclass(slots=True)
class _Thread:
    notifies: array[int] = field(default_factory=lambda: array("I"))
    """Positions, the oldest first."""
    highlights: array[int] = field(default_factory=lambda: array("I"))
    """Those of them that are highlighted."""

    def copy(self) -> _Thread:
        return _Thread(self.notifies[:], self.highlights[:])

    def add(self, position: int, *, highlight: bool) -> None:
        """Note the newest."""
        if position > _SMALL and self.notifies.typecode == "I":
            self.notifies, self.highlights = array("q", self.notifies), array("q", self.highlights)
        self.notifies.append(position)
        if highlight:
            self.highlights.append(position)

    def read(self, position: int) -> None:
        """Forget everything up to ``position``."""
        for positions in (self.notifies, self.highlights):
            del positions[: bisect_right(positions, position)]

    def forget(self, position: int) -> bool:
        """Forget one event; whether it was there."""
        found = _remove(self.notifies, position)
        return found and (_remove(self.highlights, position) or True)


class _Stored(msgspec.Struct, array_like=True):
    """A state as it is stored; positions are differences, compressed."""

    upto: int
    marks: dict[str, int]
    threads: dict[str, tuple[bytes, bytes]]
    ignored: bytes


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_Stored)


@dataclass(slots=True)
class UnreadState:
    """What is unread, up to the position ``upto``."""

    upto: int = 0
    marks: dict[str, int] = field(default_factory=dict)
    threads: dict[str, _Thread] = field(default_factory=dict)
    size: int = 0
    """How many events are unread and notify."""
    ignored: bytes = b""
    """Which list of ignored users it was counted by: a hash."""
    judged: int = 0
    """Events that have been looked at since it was stored."""

    @property
    def position_bytes(self) -> int:
        """What the positions take in memory."""
        return sum(
            positions.itemsize * len(positions)
            for thread in self.threads.values()
            for positions in (thread.notifies, thread.highlights)
        )

    def copy(self) -> UnreadState:
        """One that may be changed."""
        threads = {name: thread.copy() for name, thread in self.threads.items()}
        return UnreadState(self.upto, dict(self.marks), threads, self.size, self.ignored, self.judged)

    def is_read(self, thread: str, position: int) -> bool:
        """Whether an event in a thread has been read."""
        return position <= max(self.marks.get(UNTHREADED, 0), self.marks.get(thread, 0))

    def mark(self, thread: str, position: int) -> None:
        """Note that ``thread``, or everything, was read up to ``position``; a mark never goes back."""
        if position <= self.marks.get(thread, 0):
            return
        self.marks[thread] = position
        for name in list(self.threads) if thread == UNTHREADED else [thread]:
            if name in self.threads:
                before = len(self.threads[name].notifies)
                self.threads[name].read(position)
                self._shrunk(name, before)

    def add(self, thread: str, position: int, *, highlight: bool) -> None:
        """Note one more unread event, the newest."""
        self.threads.setdefault(thread, _Thread()).add(position, highlight=highlight)
        self.size += 1
        if self.size > MAX_UNREAD:
            name = min(self.threads, key=lambda name: self.threads[name].notifies[0])
            self.forget(self.threads[name].notifies[0])

    def forget(self, position: int) -> None:
        """Note that the event at ``position`` is unread no more, wherever it is."""
        for name, thread in self.threads.items():
            before = len(thread.notifies)
            if thread.forget(position):
                self._shrunk(name, before)
                return

    def oldest(self) -> int | None:
        """The position of the oldest unread event."""
        return min((thread.notifies[0] for thread in self.threads.values()), default=None)

    def counts(self) -> dict[str, tuple[int, int]]:
        """Thread → how many events notify, and how many of them are highlighted."""
        return {name: (len(thread.notifies), len(thread.highlights)) for name, thread in self.threads.items()}

    def encoded(self) -> bytes:
        """What is stored."""
        threads = {
            name: (_packed(thread.notifies), _packed(thread.highlights))
            for name, thread in self.threads.items()
        }
        return _ENCODER.encode(_Stored(self.upto, self.marks, threads, self.ignored))

    def _shrunk(self, name: str, before: int) -> None:
        left = len(self.threads[name].notifies)
        self.size -= before - left
        if not left:
            del self.threads[name]


def decoded(stored: bytes) -> UnreadState | None:
    """What was stored; None where an older version has, which could not tell one event from another."""
    try:
        found = _DECODER.decode(stored)
    except msgspec.DecodeError:
        return None
    threads = {
        name: _Thread(_unpacked(all_), _unpacked(some)) for name, (all_, some) in found.threads.items()
    }
    size = sum(len(thread.notifies) for thread in threads.values())
    return UnreadState(found.upto, found.marks, threads, size, found.ignored)


def _remove(positions: array[int], position: int) -> bool:
    index = bisect_left(positions, position)
    if index == len(positions) or positions[index] != position:
        return False
    del positions[index]
    return True


def _packed(positions: array[int]) -> bytes:
    if not positions:
        return b""
    differences = array("q", chain(positions[:1], (after - before for before, after in pairwise(positions))))
    return zlib.compress(differences.tobytes(), 1)


def _unpacked(packed: bytes) -> array[int]:
    positions = array("q")
    if packed:
        positions.frombytes(zlib.decompress(packed))
    if positions:
        positions = array("q", accumulate(positions))
    return array("I" if not positions or positions[-1] <= _SMALL else "q", positions)
