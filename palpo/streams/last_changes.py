"""When things last changed, in memory: lets a reader skip the database where nothing can be new.

The answer "nothing" is trusted only up to the position that this process has heard of; about what
lies before the server's start, or was dropped to bound the memory, the answer is "perhaps".
"""

from __future__ import annotations

from collections.abc import Set

from palpo.db.topics import Kind
from palpo.streams.caches import Cache, CacheBudget
from palpo.streams.wakeups import Wakeups


class LastChanges:
    """The position of the last commit that changed each topic of one kind."""

    def __init__(self, wakeups: Wakeups, kind: Kind, caches: CacheBudget) -> None:
        self._wakeups = wakeups
        self._floor = self._latest = wakeups.position
        self._positions: Cache[str, int] = caches.cache("last_changes", _bytes, dropped=self._drop)
        wakeups.listen(kind, self._changed)

    def any_since(self, since: int, upto: int) -> bool:
        """Whether anything may have changed at a position in ``(since, upto]``."""
        return since < self._latest or upto > self._wakeups.position

    def changed_since(self, key: str, since: int, upto: int) -> bool:
        """Whether ``key`` may have changed at a position in ``(since, upto]``."""
        return since < (self._positions.touch(key) or self._floor) or upto > self._wakeups.position

    def _changed(self, keys: Set[str] | None, position: int) -> None:
        if keys is None:
            self._forget(max(position, self._wakeups.position))
        elif position < self._latest:  # It is heard of late.
            self._positions.keep({key: max(position, self._positions.touch(key) or 0) for key in keys})
        else:
            self._latest = position
            self._positions.keep(dict.fromkeys(keys, position))

    def _drop(self, key: str, position: int) -> None:
        self._floor = max(self._floor, position)

    def _forget(self, position: int) -> None:
        """Anything may have changed up to ``position``."""
        self._positions.clear()
        self._floor = self._latest = max(self._floor, self._latest, position)


def _bytes(key: str, position: int) -> int:
    return 2 * len(key) + 49 + 32
