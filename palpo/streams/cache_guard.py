"""Which reads were overtaken: what they found may be what was there before a change that is known by now."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

MAX_CHANGES = 10_000
"""Changed keys that are remembered while anything is read; with more, all count as changed."""


class CacheGuard:
    """Remembers what has changed since the oldest read that goes on began, by key."""

    __slots__ = ("_all_changed", "_changed", "_max_changes", "_moment", "_reads")

    def __init__(self, *, max_changes: int = MAX_CHANGES) -> None:
        self._max_changes = max_changes
        self._moment = 0
        self._reads = 0
        self._changed: dict[Hashable, int] = {}
        """Key → when it last changed; changes of everything are not in it."""
        self._all_changed = 0

    def begin(self) -> int:
        """A read begins; the moment at which it does."""
        self._reads += 1
        return self._moment

    def end(self) -> None:
        """A read has ended."""
        self._reads -= 1
        if not self._reads:
            self._changed.clear()

    def note(self, keys: Iterable[Hashable] | None) -> None:
        """These keys have changed; None for all."""
        if not self._reads:
            return
        self._moment += 1
        if keys is not None:
            self._changed.update(dict.fromkeys(keys, self._moment))
        if keys is None or len(self._changed) > self._max_changes:
            self._all_changed = self._moment
            self._changed.clear()

    def changed_since(self, key: Hashable, moment: int) -> bool:
        """Whether ``key`` has changed since a read began at ``moment`` that goes on."""
        return self._moment > moment and self._changed.get(key, self._all_changed) > moment
