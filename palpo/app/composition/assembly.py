"""Constructs the services of an area that need nothing but what is there already."""

from __future__ import annotations

import inspect
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_type_hints

A = TypeVar("A")


def assemble(area: type[A], *given: object, **made: object) -> A:
    """The ``area``, a dataclass, of the services that are ``made``, and of others that are made here.

    These are constructed by the types of their constructors' arguments: ``given``, the fields of those that
    are dataclasses, and the area's other services, in any order. An argument with a default keeps that.
    Raises TypeError where a type is none of these, or built in, as ``str`` is: such a service is made by
    hand, in its area's function.
    """
    kinds = get_type_hints(area)
    there = {kind: item for part in given for kind, item in _parts(part)}
    there.update((kinds[name], item) for name, item in made.items())

    def find(kind: Any, whose: str) -> Any:
        if kind not in there:
            if kind not in kinds.values():
                raise TypeError(f"{whose} takes {kind}, which {area.__name__} has not: make it by hand")
            there[kind] = kind(**{name: find(of, kind.__name__) for name, of in _arguments(kind)})
        return there[kind]

    return area(**{name: find(kind, area.__name__) for name, kind in kinds.items()})


def _parts(part: object) -> list[tuple[Any, Any]]:
    """What there is by being given ``part``, by type."""
    own: Any = type(part)
    if not is_dataclass(own):
        return [(own, part)]
    kinds = get_type_hints(own)
    found = {kinds[field.name]: getattr(part, field.name) for field in fields(own)}
    return [(own, part), *((kind, item) for kind, item in found.items() if kind.__module__ != "builtins")]


def _arguments(kind: Any) -> list[tuple[str, Any]]:
    """The name and type of each argument of a constructor that has no default."""
    kinds = get_type_hints(kind.__init__)
    wanted = inspect.signature(kind).parameters.values()
    return [(item.name, kinds[item.name]) for item in wanted if item.default is item.empty]
