"""The rooms' sections of a response: of many rooms each is encoded in its turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from msgspec import Raw
from msgspec.json import Decoder, Encoder

from palpo.storage.memberships import Member
from palpo.streams.turns import Turns

R = TypeVar("R")
S = TypeVar("S")

FEW = 50
"""Rooms whose sections are encoded in one go, with the response."""

_ENCODER = Encoder()
_RAW_LIST = Decoder(list[Raw])


async def sections(rooms: Sequence[R], name: Callable[[R], str], make: Callable[[R], S]) -> dict[str, S]:
    """Each room's section by its ID; of many rooms they are JSON already, as their type would be."""
    if len(rooms) <= FEW:
        return {name(room): make(room) for room in rooms}
    turns = Turns()
    made: dict[str, Any] = {}
    for room in rooms:
        await turns.breathe()
        made[name(room)] = Raw(_ENCODER.encode(make(room)))
    return made


def stripped(membership: Member) -> list[Raw]:
    """What an invite or a knock shows of the room."""
    return _RAW_LIST.decode(membership.stripped_state or b"[]")
