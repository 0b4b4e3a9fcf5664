"""Servers that are built by the thousand: what is the same for each of them is looked up once.

A process builds one server, and works out for it what its classes' annotations say; it is half of what a
build takes. Tests build one each, of the same classes.
"""

from __future__ import annotations

from functools import cache

from palpo.api import dispatch
from palpo.app.composition import assembly


def remember() -> None:
    """Have this process keep the types of constructors' arguments, and the decoders of each endpoint."""
    for module, names in ((assembly, ("get_type_hints", "_arguments")), (dispatch, ("Codec",))):
        for name in names:
            setattr(module, name, cache(getattr(module, name)))
