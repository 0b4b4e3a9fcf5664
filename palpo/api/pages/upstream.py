"""The ways to sign in that are elsewhere: other accounts than this server's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from palpo.api.call import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """Somebody else who says who a user is."""

    id: str
    name: str
    url: str
    """Where the browser begins, on this server; when it is done, it is signed in, and goes on to where it was
    going."""
    brand: str = ""


def upstreams(call: Call, then: str) -> Sequence[Upstream]:
    """All of them, for a browser that goes on to the path ``then``."""
    return ()
