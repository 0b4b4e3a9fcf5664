"""Which operation a request line belongs to: segments of the raw path, so `%2F` stays inside its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import unquote

from palpo_spec.model import Operation
from palpo_spec.store import operations

# Former prefixes of what is now under another; tried in order, after the path as it is.
_ALIASES = (
    ("/_matrix/client/r0/", "/_matrix/client/v3/"),
    ("/_matrix/client/unstable/", "/_matrix/client/v3/"),
    ("/_matrix/client/unstable/", "/_matrix/client/v1/"),
    ("/_matrix/media/r0/", "/_matrix/media/v3/"),
    ("/_matrix/media/v1/", "/_matrix/media/v3/"),
)

# Operations that share method and path with another, from which only the query or the body tells them.
_SHADOWED = frozenset({("client-server", "peekEvents"), ("client-server", "inviteBy3PID")})


@dataclass(slots=True)
class _Node:
    literals: dict[str, _Node] = field(default_factory=dict)
    variable: _Node | None = None
    operation: Operation | None = None


def _is_variable(segment: str) -> bool:
    return segment.startswith("{") and segment.endswith("}")


def _spellings(op: Operation) -> Iterator[str]:
    """The path template, and without its last slash or empty state key where these may be left out."""
    yield op.path
    if op.path.endswith("/{stateKey}"):
        yield op.path.removesuffix("/{stateKey}")
    elif op.path.endswith("/"):
        yield op.path.removesuffix("/")


@cache
def _tree(method: str) -> _Node:
    root = _Node()
    for op in operations():
        if op.method != method or (op.api, op.operation_id) in _SHADOWED:
            continue
        for path in _spellings(op):
            _insert(root, path, op)
    return root


def _insert(root: _Node, path: str, op: Operation) -> None:
    node = root
    for segment in path.split("/")[1:]:
        if _is_variable(segment):
            node.variable = node.variable or _Node()
            node = node.variable
        else:
            node = node.literals.setdefault(segment, _Node())
    if node.operation is None:
        node.operation = op
    elif path == op.path:
        raise ValueError(f"{op.operation_id} and {node.operation.operation_id} share {op.method} {path}")


def _find(node: _Node, segments: list[str], index: int) -> Operation | None:
    """The operation for `segments[index:]` below `node`; literal segments go before variables."""
    if index == len(segments):
        return node.operation
    segment = segments[index]
    literal = node.literals.get(segment if "%" not in segment else unquote(segment))
    if literal is not None and (found := _find(literal, segments, index + 1)) is not None:
        return found
    return None if node.variable is None else _find(node.variable, segments, index + 1)


def _parameters(op: Operation, segments: list[str]) -> dict[str, str]:
    template = op.path.split("/")[1:]
    values = segments + [""] * (len(template) - len(segments))
    return {name[1:-1]: value for name, value in zip(template, values, strict=False) if _is_variable(name)}


def _candidates(path: str) -> Iterator[str]:
    yield path
    for old, new in _ALIASES:
        if path.startswith(old):
            yield new + path[len(old) :]


def match(method: str, raw_path: str) -> tuple[Operation, dict[str, str]] | None:
    """The operation of a request line and its path parameters, still percent-encoded as they were sent.

    `raw_path` is the request target's path, undecoded; a query after it is left aside. None when the
    specification has no such operation. An `{eventType}` without a state key has the empty state key.
    """
    root = _tree(method.upper())
    for path in _candidates(raw_path.partition("?")[0]):
        segments = path.split("/")[1:]
        if len(segments) <= 16 and (found := _find(root, segments, 0)) is not None:
            return found, _parameters(found, segments)
    return None
