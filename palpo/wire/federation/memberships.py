"""What handshakes by which users of one server become members elsewhere have in common.

Spec: server-server API, "Joining Rooms", "Knocking upon a room", "Leaving Rooms".
"""

from __future__ import annotations

from typing import Any

from palpo.core.identifiers import UserId
from palpo.wire.endpoint import Response, RoomParams


class MakeParams(RoomParams, frozen=True):
    """Who of the asking server is to become a member."""

    user_id: UserId


class Template(Response, frozen=True):
    """An event but for its signature, and the version of its room."""

    room_version: str
    event: dict[str, Any]
