"""User-interactive auth for handlers; the mechanism is ``palpo.services.accounts.user_interactive_auth``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import wraps
from typing import Any

import msgspec

from palpo.api.call import Call, Handler, Reply
from palpo.api.codec import encode_response
from palpo.core.errors import Forbidden, MatrixError
from palpo.services.accounts.registration_stages import RECAPTCHA
from palpo.services.accounts.user_interactive_auth import PASSWORD, REGISTRATION_TOKEN, Flow
from palpo.wire.endpoint import B, Limit, P, R

GUESSED = (REGISTRATION_TOKEN, RECAPTCHA)
"""Stages that might be guessed, or cost a request elsewhere; passwords have budgets of their accounts."""
BY_PASSWORD: Sequence[Flow] = ((PASSWORD,),)


async def authorise(
    call: Call, auth: dict[str, Any] | None, *, flows: Sequence[Flow] = BY_PASSWORD, scope: str = ""
) -> str:
    """Return once the caller has been through one of ``flows``: the session's ID; see the mechanism's module.

    ``auth`` is the request body's. The session is bound to the endpoint, the caller and ``scope``,
    which names what else it is for (a device's ID, say). An application service acts for its users
    without (spec: application service API, "Server admin style permissions"). Who has a session by OAuth 2.0
    cannot go through these stages at all (spec: "OAuth 2.0 API"), but for those that are named for them:
    Forbidden.
    """
    caller = call.caller
    if caller is not None and caller.session is None and caller.appservice_id is not None:
        return ""
    if auth is not None and auth.get("type") in GUESSED:
        call.charge(limit=Limit.ATTEMPT)
    user_id = caller.user_id if caller else None
    if flows is BY_PASSWORD and user_id is not None:
        await refuse_oauth(call)
        flows = await call.services.sign_on.proofs.flows(user_id)
    operation = "\n".join((call.endpoint.operation_id, user_id or "", scope))
    return await call.services.accounts.interactive_auth.authorise(operation, auth, flows, user_id=user_id)


async def refuse_oauth(call: Call) -> None:
    """Raises Forbidden where the caller's session was granted by OAuth 2.0."""
    if await is_by_oauth(call):
        raise Forbidden("A session of OAuth 2.0 does this on the pages for accounts")


async def is_by_oauth(call: Call) -> bool:
    """Whether the caller's session was granted by OAuth 2.0."""
    device_id, config = call.requester.device_id, call.services.server.config
    if config.delegated:
        return call.requester.appservice_id is None
    if device_id is None or not config.oauth_enabled:
        return False
    return await call.services.oauth.grants.of_device(call.user_id, device_id) is not None


def repeatable(handler: Handler[P, B, R]) -> Handler[P, B, R]:
    """For a handler that calls ``authorise``, and whose response holds no secret.

    The same request in a session that is spent gets the same response: a client whose answer was lost
    asks again, and a password that it has replaced, say, would not be taken a second time.
    """

    @wraps(handler)
    async def answer(call: Call, params: P, body: B) -> R | Reply:
        session = session_in(getattr(body, "auth", None))
        if session is None:
            return await handler(call, params, body)
        auth = call.services.accounts.interactive_auth
        request = request_hash(call)
        found = await auth.result(session, request)
        if found is not None and found.body:
            return Reply(body=found.body)
        try:
            result = await handler(call, params, body)
        except MatrixError:
            # It may have been refused for what the same request has done meanwhile.
            found = await auth.result(session, request)
            if found is None or not found.body:
                raise
            return Reply(body=found.body)
        if not isinstance(result, Reply):
            await auth.keep(session, request, encode_response(result))
        return result

    return answer


def session_in(auth: dict[str, Any] | None) -> str | None:
    """The session that a request names."""
    session = None if auth is None else auth.get("session")
    return session if isinstance(session, str) else None


def request_hash(call: Call) -> bytes:
    """Stands for a request: who asks, for what, with all that its body has but the proof."""
    body = msgspec.json.decode(call.body or b"{}")
    body.pop("auth", None)
    caller = call.caller.user_id if call.caller is not None else ""
    asked = msgspec.json.encode(body, order="sorted").decode()
    return call.services.accounts.interactive_auth.hash(
        call.endpoint.operation_id, caller, call.raw_path, asked
    )
