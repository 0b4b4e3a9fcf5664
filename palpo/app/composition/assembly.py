"""Constructs the services of an area that need nothing but what is there already."""

from __future__ import annotations

import inspect
from dataclasses import is_dataclass
from functools import cache
from types import UnionType
from typing import Any, NewType, TypeVar, get_type_hints

import msgspec

A = TypeVar("A")
_hints = cache(get_type_hints)


def assemble(area: type[A], *given: object, **made: object) -> A:
    """The ``area``, a dataclass, of the services that are ``made``, and of others that are made here.

    These are constructed by the types of their constructors' arguments: ``given``, the fields of those that
    are dataclasses or structs, and classes of the area's own, each once. An argument that has a default keeps
    it where its type is not there. Raises TypeError where there is no such type, or it is one that says
    nothing, as ``str`` does: then the service is made by hand, in its area's function.
    """
    kinds = _hints(area)  # type: ignore[arg-type]
    there = {kind: item for part in given for kind, item in _parts(part)}
    there.update((kinds[name], item) for name, item in made.items())

    def find(kind: Any, whose: str) -> Any:
        if kind not in there:
            if not _is_of(area, kind) and kind not in kinds.values():
                raise TypeError(f"{whose} takes {kind}, which {area.__name__} has not: make it by hand")
            wanted = [each for each in _arguments(kind) if each[1] in there or each[2]]
            there[kind] = kind(**{name: find(of, kind.__name__) for name, of, _ in wanted})
        return there[kind]

    return area(**{name: find(kind, area.__name__) for name, kind in kinds.items()})


def _is_of(area: type, kind: Any) -> bool:
    """Whether a class is defined below an area's package."""
    return isinstance(kind, type) and kind.__module__.startswith(f"{area.__module__}.")


def _parts(part: object) -> list[tuple[Any, Any]]:
    """What there is by being given ``part``, by type."""
    own: Any = type(part)
    if not (is_dataclass(own) or issubclass(own, msgspec.Struct)):
        return [(own, part)]
    found = {kind: getattr(part, name) for name, kind in _hints(own).items() if _says_something(kind)}
    return [(own, part), *found.items()]


def _says_something(kind: Any) -> bool:
    return isinstance(kind, type | NewType | UnionType) and kind.__module__ != "builtins"


@cache
def _arguments(kind: Any) -> list[tuple[str, Any, bool]]:
    """The name and type of each argument of a constructor, and whether it has to be given."""
    kinds = get_type_hints(kind.__init__)
    wanted = inspect.signature(kind).parameters.values()
    return [(item.name, kinds[item.name], item.default is item.empty) for item in wanted]
