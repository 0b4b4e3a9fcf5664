"""What the process keeps in memory of what it could read again: caches that share one budget in bytes.

An entry has a weight in bytes, and when all caches together are over the budget, what was longest unused
goes, in whichever cache it is. That is not kept as one long list: each cache has three generations.
What is added or used is in the young one. Once the young entries of all caches weigh a third of the
budget, every generation becomes the next older one. Room is made among the old, the oldest first:

    added, used ─▶ young ─▶ middle ─▶ old ─▶ dropped

So what is not used stays for a third of the budget's worth of additions at least, and nothing is sorted: a
use costs one look-up, or a move where the entry had grown older.

A cache may have a share of the budget, and makes room in itself where it is over that, in the same way: what
is added without end, such as events, leaves the rest to what is few and used all the time.

What was read is kept until the cache is told to forget it, mostly by a topic:
``wakeups.listen(topics.USER, cache.forget)``. A read that began before that may have found what was there
before: that is its caller's, and not kept (``reading``). Each key is guarded by itself.

Whoever keeps something must not rely on finding it again: it may be over the budget.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import msgspec

from palpo.streams.cache_guard import CacheGuard
from palpo.streams.sizes import deep_size

K = TypeVar("K")
V = TypeVar("V")

ENTRY_BYTES = 150
"""What an entry takes beside its key and its value."""
GROUP_BYTES = 300
"""What its place in a group takes."""

MEBIBYTE = 1024 * 1024


class _Entry(msgspec.Struct, gc=False):
    value: Any
    weight: int


_Entries = dict[Any, _Entry]


class CacheBudget:
    """The bytes that the caches made here may hold together."""

    def __init__(self, limit: int = 128 * MEBIBYTE) -> None:
        """``limit`` is in bytes; with 0 nothing is kept."""
        self.limit = limit
        self.bytes = 0
        """What the caches hold."""
        self.caches: list[Cache[Any, Any]] = []
        self.young = 0
        """What of it is in the young generations."""
        self._draining: list[Cache[Any, Any]] = []
        """Those that may have something in their old generation."""

    def cache(
        self,
        name: str,
        size: Callable[[Any, Any], int] | None = None,
        *,
        share: float = 1.0,
        dropped: Callable[[Any, Any], None] | None = None,
        group: Callable[[Any, Any], Hashable] | None = None,
    ) -> Cache[Any, Any]:
        """A new cache; those of one ``name`` are one in the metrics.

        ``size`` gives the bytes of an entry's key and value; without it both are measured with
        ``deep_size``. It is asked when an entry is kept: one that has grown is to be kept again.
        ``share`` is how much of the budget it may have. ``dropped`` is told of entries that go to make room,
        and may use no cache. ``group`` says, by key and value, under what key it is to be forgotten, where
        that is another.
        """
        made: Cache[Any, Any] = Cache(
            self, name, _measured if size is None else size, round(self.limit * share), dropped, group
        )
        self.caches.append(made)
        return made

    def grown(self, weight: int) -> None:
        """The young generations have grown by ``weight``: keep to the budget."""
        self.young += weight
        if self.young * 3 > self.limit:
            self._age()
        while self.bytes > self.limit:
            if not self._draining:
                self._age()
            elif not self._draining[-1].drop_old():
                self._draining.pop()

    def _age(self) -> None:
        """Make every generation the next older one; who has old entries left over is to drop first."""
        left_over = [cache for cache in reversed(self._draining) if cache.has_old]
        self.young = 0
        for cache in self.caches:
            cache.age()
        fresh = [cache for cache in self.caches if cache.has_old and cache not in left_over]
        self._draining = fresh + left_over


class Cache(Generic[K, V]):
    """A mapping that forgets. What it holds never changes, or is kept again when it does."""

    __slots__ = (
        "_budget",
        "_dropped",
        "_group",
        "_groups",
        "_guard",
        "_middle",
        "_most",
        "_old",
        "_size",
        "_young",
        "_young_bytes",
        "bytes",
        "evictions",
        "hits",
        "misses",
        "name",
    )

    def __init__(
        self,
        budget: CacheBudget,
        name: str,
        size: Callable[[K, V], int],
        most: int,
        dropped: Callable[[K, V], None] | None,
        group: Callable[[K, V], Hashable] | None,
    ) -> None:
        self._budget = budget
        self._size = size
        self._most = most
        self._dropped = dropped
        self._group = group
        self._groups: dict[Hashable, set[K]] = {}
        self._guard = CacheGuard()
        self._young: _Entries = {}
        self._middle: _Entries = {}
        self._old: _Entries = {}
        self._young_bytes = 0
        self.name = name
        self.bytes = 0
        """What the entries weigh."""
        self.hits = 0
        self.misses = 0
        self.evictions = 0
        """Entries dropped to make room."""

    def touch(self, key: K) -> V | None:
        """The value of ``key``, which counts as used."""
        entry = self._young.get(key)
        if entry is None:
            entry = self._rejuvenated(key)
            if entry is None:
                self.misses += 1
                return None
        self.hits += 1
        value: V = entry.value
        return value

    get = touch

    def touch_all(self, keys: Iterable[K]) -> dict[K, V]:
        """The values of those keys that are here, which count as used."""
        young, found = self._young, {}
        for key in keys:
            entry = young.get(key) or self._rejuvenated(key)
            if entry is None:
                self.misses += 1
            else:
                found[key] = entry.value
        self.hits += len(found)
        return found

    async def get_or_read(self, key: K, read: Callable[[], Awaitable[V]]) -> V:
        """The value of ``key``, which is read where it is not here."""
        found = self.touch(key)
        return await self.read(key, read) if found is None else found

    async def read(self, key: K, read: Callable[[], Awaitable[V]]) -> V:
        """Read the value of ``key``, and keep it unless that was overtaken."""
        with self.reading() as reading:
            found = await read()
            reading.keep({key: found})
            return found

    def reading(self) -> Reading[K, V]:
        """A context within which values are read, which then may be kept."""
        return Reading(self, self._guard)

    def forget(self, keys: Iterable[Any] | None, position: int = 0) -> None:
        """These keys, or groups, have changed, None for all: what is here, or being read, is out of date.

        It is called by a commit, at a ``position`` that is of no interest here.
        """
        if keys is None:
            self.clear()
            return
        self._guard.note(keys)
        for key in keys:
            for member in (key,) if self._group is None else self.of_group(key):
                self.pop(member)

    def of_group(self, group: Hashable) -> list[K]:
        """The keys of a group."""
        return list(self._groups.get(group, ()))

    def group_of(self, key: K, value: V) -> Hashable:
        """Under what key an entry is forgotten."""
        return key if self._group is None else self._group(key, value)

    def keep(self, items: Mapping[K, V]) -> None:
        """Add ``items``, or weigh them again; then drop what is over the budget.

        What was read, rather than just written, is kept by ``reading``.
        """
        for key, value in items.items():
            weight = self._size(key, value) + ENTRY_BYTES + (0 if self._group is None else GROUP_BYTES)
            if self._group is not None:
                self.pop(key)  # It may have been of another group.
            entry = self._young.get(key)
            if entry is not None:
                more = weight - entry.weight
                entry.value, entry.weight = value, weight
            else:
                more = weight
                self._take(key)
                self._young[key] = _Entry(value, weight)
                if self._group is not None:
                    self._groups.setdefault(self._group(key, value), set()).add(key)
            if more:
                self._young_bytes += more
                self.bytes += more
                self._budget.bytes += more
                self._grown(more)

    def pop(self, key: K, default: V | None = None) -> V | None:
        """Take ``key`` out; its value, or the ``default``."""
        young = self._young_bytes
        entry = self._take(key)
        self._budget.young += self._young_bytes - young
        return default if entry is None else entry.value

    def clear(self) -> None:
        """Forget everything."""
        self._guard.note(None)
        self._groups.clear()
        self._budget.bytes -= self.bytes
        self._budget.young -= self._young_bytes
        self.bytes = self._young_bytes = 0
        self._young, self._middle, self._old = {}, {}, {}

    def __contains__(self, key: object) -> bool:
        return key in self._young or key in self._middle or key in self._old

    def __len__(self) -> int:
        return len(self._young) + len(self._middle) + len(self._old)

    def __iter__(self) -> Iterator[K]:
        """The keys at this moment."""
        return iter([*self._young, *self._middle, *self._old])

    @property
    def has_old(self) -> bool:
        """Whether there is anything in the old generation."""
        return bool(self._old)

    def age(self) -> None:
        """Make every generation the next older one. Of the old, what is last in it is dropped first."""
        self._middle.update(self._old)
        self._old, self._middle, self._young = self._middle, self._young, {}
        self._young_bytes = 0

    def drop_old(self) -> bool:
        """Drop an entry of the old generation; False if there is none."""
        if not self._old:
            return False
        key, entry = self._old.popitem()
        self.evictions += 1
        self._removed(key, entry)
        if self._dropped is not None:
            self._dropped(key, entry.value)
        return True

    def _grown(self, weight: int) -> None:
        """The young generation has grown by ``weight``: keep to the budget, and to this cache's share."""
        self._budget.grown(weight)
        if self._young_bytes * 3 > self._most:
            self._age_alone()
        while self.bytes > self._most:
            if not self.drop_old():
                self._age_alone()

    def _age_alone(self) -> None:
        self._budget.young -= self._young_bytes
        self.age()

    def _rejuvenated(self, key: K) -> _Entry | None:
        """The entry of ``key`` in one of the older generations, which goes back to the young one."""
        entry = self._middle.pop(key, None) or self._old.pop(key, None)
        if entry is not None:
            self._young[key] = entry
            self._young_bytes += entry.weight
            self._grown(entry.weight)
        return entry

    def _take(self, key: K) -> _Entry | None:
        """Take an entry out; of what it was in the young generation, the budget is to be told."""
        entry = self._young.pop(key, None)
        if entry is not None:
            self._young_bytes -= entry.weight
        else:
            entry = self._middle.pop(key, None) or self._old.pop(key, None)
            if entry is None:
                return None
        self._removed(key, entry)
        return entry

    def _removed(self, key: K, entry: _Entry) -> None:
        self.bytes -= entry.weight
        self._budget.bytes -= entry.weight
        if self._group is not None:
            group = self._group(key, entry.value)
            members = self._groups[group]
            members.remove(key)
            if not members:
                del self._groups[group]


class Reading(Generic[K, V]):
    """A read for a cache, from its beginning to its end."""

    __slots__ = ("_cache", "_guard", "_moment")

    def __init__(self, cache: Cache[K, V], guard: CacheGuard) -> None:
        self._cache = cache
        self._guard = guard
        self._moment = 0

    def __enter__(self) -> Self:
        self._moment = self._guard.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._guard.end()

    def keep(self, items: Mapping[K, V]) -> bool:
        """Keep what was read, but for what has changed since the read began; whether that was all."""
        kept = {key: value for key, value in items.items() if not self._overtaken(key, value)}
        self._cache.keep(kept)
        return len(kept) == len(items)

    def _overtaken(self, key: K, value: V) -> bool:
        return self._guard.changed_since(self._cache.group_of(key, value), self._moment)


def _measured(key: Any, value: Any) -> int:
    return deep_size(key) + deep_size(value)
