"""How two JSON documents differ: in the fields that there are, and in the types of what is in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Shape:
    """What was seen at one place: kinds of JSON values, fields of objects, items of arrays."""

    kinds: set[str] = field(default_factory=set)
    fields: dict[str, Shape] = field(default_factory=dict)
    items: Shape | None = None

    def see(self, value: Any) -> None:
        """Add what ``value`` is."""
        self.kinds.add(kind_of(value))
        if isinstance(value, dict):
            for name, item in value.items():
                self.fields.setdefault(name, Shape()).see(item)
        if isinstance(value, list):
            for item in value:
                self.items = self.items or Shape()
                self.items.see(item)


def shape_of(value: Any) -> Shape:
    """The shape of one document; of arrays, that of all items together."""
    shape = Shape()
    shape.see(value)
    return shape


def kind_of(value: Any) -> str:
    """The JSON type; integers and fractions are numbers."""
    if value is None:
        return "null"
    kinds = {bool: "boolean", int: "number", float: "number", str: "string", dict: "object", list: "array"}
    return kinds[type(value)]


def differences(ours: Shape, theirs: Shape, at: str = "") -> Iterator[str]:
    """Each place where they differ, and how; where one has null only, the other may have anything."""
    here, there = ours.kinds - {"null"}, theirs.kinds - {"null"}
    if here and there and here != there:
        yield f"{at or '(all)'}: {_said(here)}, theirs {_said(there)}"
        return
    if here and there:
        # What is in events is their senders', and in a room's first events the server's choice.
        for name in sorted((ours.fields.keys() | theirs.fields.keys()) - {"content"}):
            place = f"{at}.{name}" if at else name
            if name not in theirs.fields:
                yield f"{place}: only ours"
            elif name not in ours.fields:
                yield f"{place}: only theirs"
            else:
                yield from differences(ours.fields[name], theirs.fields[name], place)
        if ours.items and theirs.items:
            yield from differences(ours.items, theirs.items, f"{at}[]")


def _said(kinds: set[str]) -> str:
    return " or ".join(sorted(kinds))
