"""User-interactive auth for handlers; the mechanism is ``palpo.services.user_interactive_auth``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from palpo.api.call import Call
from palpo.services.user_interactive_auth import PASSWORD, Flow

BY_PASSWORD: Sequence[Flow] = ((PASSWORD,),)


async def authorise(
    call: Call, auth: dict[str, Any] | None, *, flows: Sequence[Flow] = BY_PASSWORD, scope: str = ""
) -> str:
    """Return once the caller has been through one of ``flows``: the session's ID; see the mechanism's module.

    ``auth`` is the request body's. The session is bound to the endpoint, the caller and ``scope``,
    which names what else it is for (a device's ID, say). An application service acts for its users
    without (spec: application service API, "Server admin style permissions").
    """
    caller = call.caller
    if caller is not None and caller.session is None and caller.appservice_id is not None:
        return ""
    user_id = caller.user_id if caller else None
    operation = "\n".join((call.endpoint.operation_id, user_id or "", scope))
    return await call.services.interactive_auth.authorise(operation, auth, flows, user_id=user_id)
