"""Accounts of users."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from palpo.core.errors import Forbidden, MatrixError
from palpo.core.identifiers import UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """What the server says of an account, beside its user: each a column of ``users``, of this name.

    An account has them, and whoever acts for it: what is added here is stored, read, kept in memory with the
    access tokens in use, and forgotten there when it is set (``Accounts.set_flags``).
    """

    is_admin: bool = False
    is_guest: bool = False
    locked: bool = False
    suspended: bool = False
    shadow_banned: bool = False
    """What the user does is answered as ever, and nobody sees it."""

    def flags(self) -> dict[str, Any]:
        """Each of them, by name."""
        return {name: getattr(self, name) for name in FLAGS}

    def refuse_locked(self) -> None:
        """Raises M_USER_LOCKED (401) where the account is locked."""
        if self.locked:
            raise locked()

    def refuse_suspended(self) -> None:
        """Raises M_USER_SUSPENDED (403) where the account is suspended."""
        if self.suspended:
            raise Forbidden("You cannot do this while your account is suspended", errcode="M_USER_SUSPENDED")


FLAGS = tuple(field.name for field in fields(Flags))


@dataclass(frozen=True, slots=True, kw_only=True)
class Account(Flags):
    """A user of this server. ``password_hash`` is None where no password can log in."""

    user_id: UserId
    password_hash: str | None = None
    created_ts: int = 0
    appservice_id: str | None = None
    user_type: str | None = None
    """``bot``, ``support``, or whatever administrators have made up; None for a person."""
    deactivated: bool = False
    erased: bool = False


def locked() -> MatrixError:
    """What a locked account is told (spec: "Account locking")."""
    return MatrixError(
        "This account is locked", status=401, errcode="M_USER_LOCKED", fields={"soft_logout": True}
    )
