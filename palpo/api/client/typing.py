"""Typing notifications."""

from __future__ import annotations

from palpo.api.call import Call, Handlers
from palpo.core.errors import Forbidden
from palpo.wire.client import typing as wire

handlers = Handlers()


@handlers.serves(wire.set_typing)
async def set_typing(call: Call, params: wire.TypingParams, body: wire.SetTyping) -> None:
    """PUT /rooms/{roomId}/typing/{userId}."""
    if params.user_id != call.user_id:
        raise Forbidden("You cannot say that another user is typing")
    if call.requester.shadow_banned:
        return
    await call.services.personal.typing.set(
        params.room_id, params.user_id, typing=body.typing, timeout_ms=body.timeout
    )
    if body.typing:
        call.services.personal.presence.note_active(call.user_id, call.requester.device_id)
