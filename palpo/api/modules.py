"""Every handler module of the API, found by walking the packages they are in."""

from __future__ import annotations

import importlib
import pkgutil

from palpo.api import admin, client, delegate, federation
from palpo.api.call import Handlers


def handlers() -> list[Handlers]:
    """The ``handlers`` of each module of the packages below."""
    found: list[Handlers] = []
    for package in (admin, client, delegate, federation):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            value = getattr(importlib.import_module(module.name), "handlers", None)
            if isinstance(value, Handlers):
                found.append(value)
    return found
