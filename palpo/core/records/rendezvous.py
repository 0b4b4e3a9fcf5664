"""Where two devices leave each other messages for a minute."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendezvous:
    """One; times are milliseconds."""

    rendezvous_id: str
    sequence: str
    """Names what is there now."""
    data: bytes
    modified_ts: int
    expires_ts: int
