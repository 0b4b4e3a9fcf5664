"""How many bytes values take in memory, for the caches' budget."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable
from enum import Enum
from functools import lru_cache
from itertools import islice
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

SAMPLE = 200
"""Items of a collection that are looked at; the rest are taken to be like them."""

_SHARED = (type, Enum, ModuleType, FunctionType, MethodType, BuiltinFunctionType)
"""What many values refer to and none owns."""
_PLAIN = frozenset((str, bytes, int, float))
_NOTHING = frozenset((bool, type(None)))

_getsizeof = sys.getsizeof


def deep_size(value: Any) -> int:
    """Bytes of ``value`` and all that it is made of, strings that it shares with others included.

    Costs a microsecond or two for small values, and little more for a large collection: of that a
    sample is looked at.
    """
    kind = type(value)
    if kind in _PLAIN:
        return _getsizeof(value)
    if kind in _NOTHING:
        return 0
    if kind is dict:
        return _getsizeof(value) + _of_items(value.keys(), len(value)) + _of_items(value.values(), len(value))
    if isinstance(value, (list, tuple, set, frozenset, deque)):
        return _getsizeof(value) + _of_items(value, len(value))
    if isinstance(value, _SHARED):
        return 0
    return _of_object(value, kind)


def _of_items(items: Iterable[Any], count: int) -> int:
    if count <= SAMPLE:
        return sum(map(deep_size, items))
    return sum(map(deep_size, islice(items, SAMPLE))) * count // SAMPLE


def _of_object(value: Any, kind: type) -> int:
    size = _getsizeof(value)
    if isinstance(value, dict):
        size += _of_items(value.keys(), len(value)) + _of_items(value.values(), len(value))
    for name in _slots(kind):
        size += deep_size(getattr(value, name, None))
    attributes = getattr(value, "__dict__", None)
    return size if not attributes else size + deep_size(attributes)


@lru_cache(maxsize=256)
def _slots(kind: type) -> tuple[str, ...]:
    """The names of what an object of this type holds outside of a ``__dict__``."""
    fields: tuple[str, ...] = getattr(kind, "__struct_fields__", ())
    if fields:
        return fields
    names: list[str] = []
    for base in kind.__mro__:
        slots = base.__dict__.get("__slots__", ())
        names += (slots,) if isinstance(slots, str) else slots
    return tuple(name for name in names if name not in ("__dict__", "__weakref__"))
