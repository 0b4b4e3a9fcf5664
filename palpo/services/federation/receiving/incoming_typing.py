"""Who of other servers types (spec: server-server API, "Typing Notifications")."""

from __future__ import annotations

from typing import Any

from palpo.core.identifiers import ServerName
from palpo.services.federation.receiving.edu_senders import EduSenders
from palpo.services.personal.typing import Typing

LASTING_MS = 60_000
"""How long it is taken that a user types whose server says nothing else."""


class IncomingTyping:
    """Takes ``m.typing``."""

    edu_type = "m.typing"

    def __init__(self, senders: EduSenders, typing: Typing) -> None:
        self._senders = senders
        self._typing = typing

    async def receive(self, origin: ServerName, content: dict[str, Any], /) -> None:
        """Take one; raises InvalidParam, Forbidden."""
        user_id = self._senders.user(origin, content.get("user_id"))
        room_id = await self._senders.room(origin, content.get("room_id"))
        await self._senders.check_member(room_id, user_id)
        typing = content.get("typing") is True
        await self._typing.store(room_id, user_id, typing=typing, timeout_ms=LASTING_MS)
