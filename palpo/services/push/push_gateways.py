"""Calls to push gateways (spec: push gateway API), and what is said in them."""

from __future__ import annotations

from typing import Any

import msgspec

from palpo.core.canonical_json import decode_object, to_json
from palpo.core.events import StateKey
from palpo.core.records.events import StoredEvent
from palpo.core.state_keys import CANONICAL_ALIAS, MEMBER, NAME
from palpo.net.http_client import HttpClient, HttpError
from palpo.services.push.pushed_rooms import PushedRooms
from palpo.storage.pushers import Pusher

TIMEOUT_S = 15.0
MAX_ANSWER = 64 * 1024
"""Bytes of a gateway's answer that are read."""
EVENT_ID_ONLY = "event_id_only"

Notification = dict[str, Any]


class GatewayFailed(Exception):
    """The gateway did not take the notification; it may take it later."""


class Answer(msgspec.Struct, frozen=True):
    """What a gateway answers."""

    rejected: list[str] = []


_DECODER = msgspec.json.Decoder(Answer)


class PushGateways:
    """Tells push gateways of events and of numbers of unread messages."""

    def __init__(self, http: HttpClient, rooms: PushedRooms) -> None:
        self._http = http
        self._rooms = rooms

    async def push_event(self, pusher: Pusher, stored: StoredEvent, actions: list[Any], unread: int) -> bool:
        """Tell of an event; False where the gateway rejects the pushkey. Raises GatewayFailed."""
        event = stored.event
        tweaks = tweaks_of(actions)
        notification: Notification = {
            "event_id": event.event_id,
            "room_id": event.room_id,
            "prio": _priority(event.type, tweaks),
            "counts": {"unread": unread},
        }
        data = _data(pusher)
        if data.get("format") != EVENT_ID_ONLY:
            notification |= await self._details(stored, pusher.user_id)
        return await self._notify(pusher, notification, tweaks)

    async def push_counts(self, pusher: Pusher, unread: int) -> bool:
        """Tell only how much is unread, 0 too: gateways leave a badge alone that they are told nothing of.

        Otherwise as ``push_event``.
        """
        return await self._notify(pusher, {"prio": "low", "counts": {"unread": unread}}, None)

    async def _details(self, stored: StoredEvent, user_id: str) -> Notification:
        """What a gateway is told beside the IDs, unless it is to be told these only."""
        event = stored.event
        sender: StateKey = (MEMBER, event.sender)
        state = await self._rooms.contents(event.room_id, user_id, [sender, NAME, CANONICAL_ALIAS])
        details: Notification = {"type": event.type, "sender": event.sender, "content": event.content}
        for name, key, field in (
            ("sender_display_name", sender, "displayname"),
            ("room_name", NAME, "name"),
            ("room_alias", CANONICAL_ALIAS, "alias"),
        ):
            value = state[key].get(field) if key in state else None
            if isinstance(value, str) and value:
                details[name] = value
        if event.type == MEMBER:
            details["user_is_target"] = event.state_key == user_id
        return details

    async def _notify(
        self, pusher: Pusher, notification: Notification, tweaks: dict[str, Any] | None
    ) -> bool:
        data = _data(pusher)
        url = data.pop("url", None)
        device: dict[str, Any] = {
            "app_id": pusher.app_id,
            "pushkey": pusher.pushkey,
            "pushkey_ts": pusher.created_ts // 1000,
            "data": data,
        }
        if tweaks is not None:
            device["tweaks"] = tweaks
        body = to_json({"notification": {**notification, "devices": [device]}})
        headers = {"Content-Type": "application/json"}
        try:
            async with self._http.request(
                "POST", str(url), headers=headers, body=body, timeout_s=TIMEOUT_S
            ) as response:
                answer = await response.read(MAX_ANSWER)
                if not 200 <= response.status < 300:
                    raise GatewayFailed(f"status {response.status}")
        except HttpError as error:
            raise GatewayFailed(f"{type(error).__name__}: {error}") from error
        return pusher.pushkey not in _rejected(answer)


def tweaks_of(actions: list[Any]) -> dict[str, Any]:
    """The tweaks among a rule's actions, by name (spec: "Actions")."""
    return {
        action["set_tweak"]: action.get("value", action["set_tweak"] == "highlight" or None)
        for action in actions
        if isinstance(action, dict) and isinstance(action.get("set_tweak"), str)
    }


def _priority(event_type: str, tweaks: dict[str, Any]) -> str:
    """What is encrypted may be important, and only the device can tell."""
    urgent = event_type == "m.room.encrypted" or tweaks.get("highlight") is True or tweaks.get("sound")
    return "high" if urgent else "low"


def _data(pusher: Pusher) -> dict[str, Any]:
    return decode_object(pusher.data)


def _rejected(answer: bytes) -> list[str]:
    """The pushkeys that are rejected; an answer that cannot be read rejects none."""
    try:
        return _DECODER.decode(answer).rejected
    except (msgspec.DecodeError, RecursionError):
        return []
