"""Every declared endpoint, found by walking the packages in which they are declared."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Any

from palpo import wire
from palpo.wire.endpoint import Endpoint


@cache
def endpoints() -> tuple[Endpoint[Any, Any, Any], ...]:
    """All endpoints, by first path and method."""
    found: dict[int, Endpoint[Any, Any, Any]] = {}
    for module in pkgutil.walk_packages(wire.__path__, f"{wire.__name__}."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, Endpoint):
                found[id(value)] = value
    return tuple(sorted(found.values(), key=lambda endpoint: (endpoint.paths[0], endpoint.method)))
