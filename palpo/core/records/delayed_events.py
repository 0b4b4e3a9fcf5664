"""Events that are sent later (MSC4140)."""

from __future__ import annotations

from dataclasses import dataclass

from palpo.core.identifiers import RoomId, UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class DelayedEvent:
    """An event that is sent at its time; times are milliseconds since the Unix epoch."""

    delay_id: str
    user_id: UserId
    device_id: str | None
    room_id: RoomId
    type: str
    state_key: str | None
    content: bytes
    """A JSON object."""
    delay_ms: int
    scheduled_ts: int
    """When it was scheduled, or its time last started anew."""
    send_ts: int
    origin_server_ts: int | None
    """The time that the event is to have; None for that of its sending."""
    transaction_hash: bytes | None
    finished_ts: int | None = None
    event_id: str | None = None
    """What it became, once it is sent."""
    error: bytes | None = None
    """The error response (JSON) that says why it was not sent."""
