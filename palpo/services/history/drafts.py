"""What is handed to the room writer: events before they have a place in a room."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import Any

import msgspec

from palpo.core.identifiers import UserId
from palpo.services.history.room_heads import RoomHead


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """An event before it has a place in a room."""

    type: str
    sender: UserId
    content: dict[str, Any]
    state_key: str | None = None
    redacts: str | None = None
    origin_server_ts: int | None = None
    """Milliseconds since the Unix epoch; the time of writing where it is None."""


class SendTransaction(msgspec.Struct, frozen=True, kw_only=True):
    """What makes a request the same request when it is sent again."""

    user_id: UserId
    device_id: str | None
    scope: str
    """The endpoint and its path, without the transaction ID."""
    transaction_id: str
    delay_id: str | None = None
    """Of the delayed event that is sent by it, if it is one (MSC4140)."""

    @property
    def hash(self) -> bytes:
        """16 bytes that stand for it in the database."""
        parts = (self.user_id, self.device_id or "", self.scope, self.transaction_id)
        return blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=16).digest()


Guard = Callable[[RoomHead], Awaitable[None]]
"""Looks at the head that drafts are about to be written on; raises to refuse them."""
