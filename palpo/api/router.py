"""Routes by the raw path, segment by segment: an ID with ``%2F`` in it is one segment.

Quart and most others route the decoded path, in which such an ID falls apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar
from urllib.parse import unquote_to_bytes

from palpo.core.errors import InvalidParam, Unrecognized, WrongMethod

T = TypeVar("T")


@dataclass(slots=True)
class _Node(Generic[T]):
    literals: dict[str, _Node[T]] = field(default_factory=dict)
    parameter: _Node[T] | None = None
    targets: dict[str, tuple[T, tuple[str, ...]]] = field(default_factory=dict)
    """Method to target and the names of the path's parameters."""


class Router(Generic[T]):
    """Targets by method and path template. A literal segment wins over a parameter."""

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()
        self._literal: dict[bytes, _Node[T]] = {}
        """Paths without a parameter, whole."""

    def add(self, method: str, template: str, target: T) -> None:
        """Serve ``method template`` by ``target``; raises ValueError where something does already."""
        node = self._root
        names: list[str] = []
        for segment in template.split("/")[1:]:
            if segment.startswith("{"):
                names.append(segment[1:-1])
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.literals.setdefault(segment, _Node())
        if method in node.targets:
            raise ValueError(f"{method} {template} is routed already")
        node.targets[method] = (target, tuple(names))
        if not names:
            self._literal[template.encode()] = node

    def match(self, method: str, raw_path: bytes) -> tuple[T, dict[str, str]]:
        """The target of a request and its decoded path parameters.

        Raises Unrecognized for an unknown path, WrongMethod for one that has other methods, InvalidParam
        where a segment is not UTF-8 once decoded.
        """
        node, segments = self._find(raw_path)
        if node is None:
            raise Unrecognized("Unrecognized request")
        found = node.targets.get(method)
        if found is None:
            raise WrongMethod(f"{method[:16]} is not a method of this endpoint", allowed=node.targets)
        target, names = found
        return target, {name: _decode(segment) for name, segment in zip(names, segments, strict=True)}

    def _find(self, raw_path: bytes) -> tuple[_Node[T] | None, list[str]]:
        node = self._literal.get(raw_path)
        if node is not None:
            return node, []
        try:
            segments = raw_path.decode("ascii").split("/")
        except UnicodeDecodeError:
            segments = raw_path.decode("utf-8", "surrogateescape").split("/")
        return _descend(self._root, segments, 1, [])


def _descend(
    node: _Node[T], segments: list[str], index: int, found: list[str]
) -> tuple[_Node[T] | None, list[str]]:
    for at in range(index, len(segments)):
        segment = segments[at]
        literal, parameter = node.literals.get(segment), node.parameter
        if literal is not None and parameter is not None:
            # Two ways lead on, of which the first may lead nowhere.
            result = _descend(literal, segments, at + 1, found.copy())
            if result[0] is not None:
                return result
            literal = None
        if literal is not None:
            node = literal
        elif parameter is not None:
            node = parameter
            found.append(segment)
        else:
            return None, found
    return (node if node.targets else None), found


def _decode(segment: str) -> str:
    if "%" not in segment and segment.isascii():
        return segment
    try:
        return unquote_to_bytes(segment.encode("utf-8", "surrogateescape")).decode()
    except UnicodeDecodeError:
        raise InvalidParam("The path is not UTF-8") from None
