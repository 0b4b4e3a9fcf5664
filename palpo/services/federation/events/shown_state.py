"""What other servers show of a room to who is not in it (spec: client-server API, "Stripped state"; MSC4311).

These are events as servers exchange them. Older servers send them stripped, and then they prove nothing; in
rooms whose ID is made of the create event that does not do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from palpo.core.canonical_json import to_json
from palpo.core.errors import BadJson, InvalidParam
from palpo.core.events import SignedEvent, stripped
from palpo.core.identifiers import RoomId, is_user_id
from palpo.core.room_versions import RoomVersion
from palpo.core.signed_objects import KeyUnavailable
from palpo.core.state_keys import CREATE
from palpo.services.federation.events.received_events import ReceivedEvents, Refused

MAX_SHOWN = 50
"""Pieces of state that are looked at."""
MAX_BYTES = 64 * 1024
"""Of all of them: each user may have many invites, and syncs tell all of them."""


class ShownState:
    """Makes stripped state of it."""

    def __init__(self, received: ReceivedEvents) -> None:
        self._received = received

    async def stripped(
        self, rules: RoomVersion, room_id: RoomId, told: Sequence[Any], *, refuse: bool
    ) -> list[dict[str, Any]]:
        """As much as there is room for, one piece for each key, the create event first.

        What is of no use is left out, or, to ``refuse`` it, raises InvalidParam where the room's version
        needs whole events. Those that nobody can check now are left out.
        """
        told = told[:MAX_SHOWN]
        checked = await self._received.check(rules, told, room_id=room_id)
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for given, item in zip(told, checked, strict=True):
            piece = _piece(rules, room_id, given, item, refuse=refuse)
            if piece is not None:
                found[piece["type"], piece["state_key"]] = piece
        return _bounded(sorted(found.values(), key=lambda piece: piece["type"] != CREATE[0]))


def _piece(
    rules: RoomVersion, room_id: RoomId, given: Any, checked: SignedEvent | Refused, *, refuse: bool
) -> dict[str, Any] | None:
    if isinstance(checked, SignedEvent):
        return stripped(checked) if checked.is_state else None
    if not rules.create_event_is_room_id:
        return _as_stripped(room_id, given)
    if refuse and not isinstance(checked.error, KeyUnavailable):
        raise InvalidParam(f"The room's state has something else in it: {checked.error.message}")
    return None


def _as_stripped(room_id: RoomId, given: Any) -> dict[str, Any] | None:
    """What comes stripped already, and is not said to be of another room."""
    if not isinstance(given, dict) or not isinstance(given.get("content"), dict):
        return None
    if given.get("room_id", room_id) != room_id:
        return None
    fields = {name: given.get(name) for name in ("type", "state_key", "sender")}
    if not all(isinstance(value, str) for value in fields.values()) or not is_user_id(fields["sender"]):
        return None
    return {**fields, "content": given["content"]}


def _bounded(pieces: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    room = MAX_BYTES
    kept: list[dict[str, Any]] = []
    for piece in pieces:
        try:
            room -= len(to_json(piece))
        except BadJson:
            continue
        if room < 0:
            break
        kept.append(piece)
    return kept
