"""What suspended users may not do (spec: client-server API, "Account suspension")."""

from __future__ import annotations

from palpo.api.call import Call
from palpo.core.errors import Forbidden


def refuse_suspended(call: Call) -> None:
    """Raises M_USER_SUSPENDED (403) where the caller's account is suspended."""
    if call.requester.suspended:
        raise Forbidden("You cannot do this while your account is suspended", errcode="M_USER_SUSPENDED")
