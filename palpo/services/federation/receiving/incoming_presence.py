"""Who of other servers is there (spec: server-server API, "Presence")."""

from __future__ import annotations

import contextlib
from typing import Any

from palpo.core.bounded_text import check_text
from palpo.core.errors import InvalidParam, MatrixError
from palpo.core.identifiers import ServerName
from palpo.services.federation.receiving.edu_senders import EduSenders
from palpo.services.personal.presence import MAX_STATUS, STATES, PresenceTracker
from palpo.storage.presence import Presence
from palpo.streams.clock import Clock
from palpo.streams.turns import Turns

MAX_USERS = 500
"""Of whom one EDU is believed."""
MAX_AGO_MS = 100 * 365 * 24 * 3600 * 1000


class IncomingPresence:
    """Takes ``m.presence``."""

    edu_type = "m.presence"

    def __init__(self, senders: EduSenders, presence: PresenceTracker, clock: Clock) -> None:
        self._senders = senders
        self._presence = presence
        self._clock = clock

    async def receive(self, origin: ServerName, content: dict[str, Any], /) -> None:
        """Take what it says of each user that is in a room with users here."""
        push = content.get("push")
        if not isinstance(push, list):
            return
        turns = Turns()
        found = {}
        for item in push[:MAX_USERS]:
            await turns.breathe()
            if isinstance(item, dict) and (said := self._said(origin, item)) is not None:
                found[said.user_id] = said
        await self._presence.receive(list(found.values()))

    def _said(self, origin: ServerName, item: dict[str, Any]) -> Presence | None:
        """What is said of one user; None for what is of no use."""
        try:
            user_id = self._senders.user(origin, item.get("user_id"))
        except MatrixError:
            return None
        presence = item.get("presence")
        if presence not in STATES:
            return None
        return Presence(
            user_id=user_id,
            presence=presence,
            status_msg=_status(item.get("status_msg")),
            last_active_ts=self._active_ts(item.get("last_active_ago")),
            currently_active=item.get("currently_active") is True,
        )

    def _active_ts(self, ago: object) -> int:
        if not isinstance(ago, int) or not 0 <= ago < MAX_AGO_MS:
            return 0
        return self._clock.now_ms() - ago


def _status(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    with contextlib.suppress(InvalidParam):
        return check_text(value, "status_msg", max_bytes=MAX_STATUS)
    return None
