"""Large bodies, decoded piece by piece: the members of an object are JSON still when the handler gets them.

A wire type names such members ``msgspec.Raw``; the handler decodes each with the type that it has.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Generic, TypeVar

import msgspec

from palpo.api.codec import decode
from palpo.streams.turns import Turns

T = TypeVar("T")


class Pieces(Generic[T]):
    """Decodes members of one type."""

    def __init__(self, type_: type[T] | Any) -> None:
        self._decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(type_)

    async def each(self, members: Mapping[str, msgspec.Raw]) -> AsyncIterator[tuple[str, T]]:
        """Name and value of each; others have their turn in between. Raises MissingParam, BadJson."""
        turns = Turns()
        for name, raw in members.items():
            await turns.breathe()
            yield name, decode(self._decoder, raw)
