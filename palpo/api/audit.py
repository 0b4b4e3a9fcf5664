"""Writes down what administrators ask for: whatever an endpoint of theirs may change, and what is theirs to
do where others have to ask a room.

What is everybody's, and an administrator's right only now and then, such as a redaction, is written down by
its handler, with ``record``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from palpo.api.call import AnyHandler, Call, Reply
from palpo.core.errors import MatrixError
from palpo.wire.endpoint import Auth, Endpoint

READING = ("GET", "HEAD")
POWERS = frozenset({"setRoomAlias", "deleteRoomAlias", "setRoomVisibilityOnDirectory"})
"""Everybody's operations at which administrators are not asked what they are in the room."""
TARGETS = ("user_id", "room_alias", "room_id", "room", "event_id", "media_id", "destination", "token", "id")
"""Parameters that say what a request is about, the first that is there."""


def audited(endpoint: Endpoint[Any, Any, Any], handler: AnyHandler) -> AnyHandler:
    """``handler``, whose calls are written down where the endpoint is for administrators and no reading."""
    powers = endpoint.operation_id in POWERS
    if not powers and (endpoint.auth is not Auth.ADMIN or endpoint.method in READING):
        return handler

    async def handle(call: Call, params: Any, body: Any) -> Any:
        if powers and not call.requester.is_admin:
            return await handler(call, params, body)
        status = 500
        try:
            reply = await handler(call, params, body)
            status = reply.status if isinstance(reply, Reply) else 200
        except MatrixError as error:
            status = error.status
            raise
        finally:
            await record(call, params, body, status)
        return reply

    return handle


async def record(call: Call, params: Any, body: Any, status: int) -> None:
    """Write down what was asked for, and what became of it."""
    given = _fields(params)
    await call.services.server.audit_log.record(
        actor=call.user_id,
        via="api",
        action=call.endpoint.operation_id,
        target=next((str(given[name]) for name in TARGETS if given.get(name)), ""),
        details={**given, **_fields(body)},
        status=status,
        address=call.client_address,
    )


def _fields(value: Any) -> Mapping[str, Any]:
    """What was given of a struct or an object, by name."""
    built = msgspec.to_builtins(value, str_keys=True) if value is not None else {}
    return {name: item for name, item in built.items() if item is not None} if isinstance(built, dict) else {}
