"""Rooms of a hierarchy, and what makes a room a child of a space (spec: client-server API, "Spaces")."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from palpo.core.events import Event
from palpo.services.rooms.room_overviews import Overview

CHILD = "m.space.child"
SPACE = "m.space"
_ORDER = re.compile(r"[\x20-\x7e]{1,50}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceRoom:
    """A room of a hierarchy, and the children that it names."""

    overview: Overview
    children: Sequence[Event]
    places: Sequence[int]
    """Of each child, its place among the children of when the first page was asked for."""


def is_child(content: dict[str, Any]) -> bool:
    """Whether an ``m.space.child`` event names a child: without servers to ask it does not."""
    via = content.get("via")
    return isinstance(via, list) and bool(via) and all(isinstance(server, str) for server in via)


def child_order(event: Event) -> tuple[bool, str, int, str]:
    """Children with a valid ``order`` first, then older ones (spec: "Ordering of children")."""
    order = event.content.get("order")
    valid = isinstance(order, str) and _ORDER.fullmatch(order) is not None
    return not valid, str(order) if valid else "", event.origin_server_ts, event.state_key or ""
