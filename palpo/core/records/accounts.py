"""Accounts of users."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user of this server. ``password_hash`` is None where no password can log in."""

    user_id: str
    password_hash: str | None = None
    created_ts: int = 0
    is_guest: bool = False
    is_admin: bool = False
    appservice_id: str | None = None
    deactivated: bool = False
    erased: bool = False
    locked: bool = False
    suspended: bool = False
