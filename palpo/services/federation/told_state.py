"""What other servers tell of a room to who is not in it yet (spec: "Stripped state")."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

MAX_TOLD = 100
"""Pieces of state."""


def as_stripped(told: Iterable[Any]) -> list[dict[str, Any]]:
    """Stripped state, whether it comes as such or as whole events; what is neither is left out."""
    shown = (_stripped(item) for item in told)
    return list(islice((item for item in shown if item is not None), MAX_TOLD))


def _stripped(item: Any) -> dict[str, Any] | None:
    if not isinstance(item, dict) or not isinstance(item.get("content"), dict):
        return None
    fields = {name: item.get(name) for name in ("type", "state_key", "sender")}
    if not all(isinstance(value, str) for value in fields.values()):
        return None
    return {**fields, "content": item["content"]}
