"""Bodies that are right, for operations that hardly any drawn body gets into, and changes to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.fuzz.values import Values
from tests.support.encryption import cross_signing_keys, device_keys, one_time_keys
from tests.support.homeserver import PASSWORD

TOPIC = {"type": "m.room.topic", "content": {"topic": "x"}}


def seed(operation: str, values: Values) -> Any:
    """A body for the operation, None where drawn ones do."""
    if operation == "createRoom":
        made: Any = {"room_version": str(values.rng.randrange(1, 13)), "preset": "public_chat", "name": "x"}
        made |= {"invite": [values.context.get("other", "@x:y")], "initial_state": [TOPIC]}
        return _varied(values, made)
    made = _bodies(values.context).get(operation)
    return None if made is None else _varied(values, made)


def _varied(values: Values, body: Any) -> Any:
    """``body``, in most cases with one or two values replaced or left out."""
    if not isinstance(body, dict):
        return body
    result = dict(body)
    for _ in range(values.rng.randrange(3) if values.chance(values.wild) else 0):
        name = values.rng.choice(list(result) or ["x"])
        if isinstance(result.get(name), dict) and values.chance(0.6):
            result[name] = _varied(values, result[name])
        elif values.chance(0.3):
            result.pop(name, None)
        else:
            result[name] = values.json() if values.chance(0.5) else values.text(name)
    return result


def _bodies(context: Mapping[str, str]) -> dict[str, Any]:
    user, device = context.get("user_id", "@x:y"), context.get("device_id", "X")
    room_id, event_id = context.get("room_id", "!x:y"), context.get("event_id", "$x")
    other = context.get("other", user)
    identifier = {"type": "m.id.user", "user": user}
    password = {"type": "m.login.password", "identifier": identifier, "password": PASSWORD}
    actions = ["notify", {"set_tweak": "sound", "value": "default"}]
    session = {
        "first_message_index": 0,
        "forwarded_count": 0,
        "is_verified": True,
        "session_data": {"a": "b"},
    }
    backup = {"algorithm": "m.megolm_backup.v1.curve25519-aes-sha2", "auth_data": {"public_key": "x"}}
    events = {"search_term": "hello", "order_by": "recent", "event_context": {"before_limit": 1}}
    return {
        "login": password,
        "register": {"username": None, "password": PASSWORD, "auth": {"type": "m.login.dummy"}},
        "changePassword": {"new_password": PASSWORD, "auth": password, "logout_devices": False},
        "deactivateAccount": {"auth": password, "erase": True},
        "deleteDevice": {"auth": password},
        "deleteDevices": {"auth": password, "devices": [device]},
        "generateLoginToken": {"auth": password},
        "uploadCrossSigningKeys": {**cross_signing_keys(user, "fuzz"), "auth": password},
        "uploadKeys": {
            "device_keys": device_keys(user, device),
            "one_time_keys": one_time_keys(user, device, 1, 2),
            "fallback_keys": {"signed_curve25519:f": {"key": "x", "fallback": True}},
        },
        "msc3814.putDehydratedDevice": {
            "device_id": "DEHYDRATED",
            "device_data": {"algorithm": "x"},
            "device_keys": device_keys(user, "DEHYDRATED"),
        },
        "setPushRule": {
            "actions": actions,
            "conditions": [{"kind": "room_member_count", "is": "2"}],
            "pattern": "x",
        },
        "sendMessage": {"msgtype": "m.text", "body": "hello alice-b"},
        "setPushRuleActions": {"actions": actions},
        "setPushRuleEnabled": {"enabled": True},
        "postPusher": {
            "kind": "http",
            "app_id": "a",
            "pushkey": "k",
            "app_display_name": "A",
            "device_display_name": "D",
            "lang": "en",
            "data": {"url": "https://127.0.0.1:9/_matrix/push/v1/notify"},
        },
        "setTyping": {"typing": True, "timeout": 1000},
        "postReceipt": {"thread_id": "main"},
        "setReadMarker": {"m.fully_read": event_id, "m.read": event_id},
        "setProfileField": {"displayname": "F", "avatar_url": "mxc://a/b", "m.tz": "UTC"},
        "setRoomTag": {"order": 0.5},
        "msc4306.putThreadSubscription": {"automatic": event_id},
        "msc2836.event_relationships": {"event_id": event_id, "room_id": room_id, "max_depth": -1},
        "putRoomKeyBySessionId": session,
        "putRoomKeysByRoomId": {"sessions": {"s": session}},
        "putRoomKeys": {"rooms": {room_id: {"sessions": {"s": session}}}},
        "putRoomKeysVersion": backup,
        "postRoomKeysVersion": backup,
        "sendToDevice": {"messages": {user: {"*": {"a": 1}, device: {"b": 2}}}},
        "refresh": {"refresh_token": context.get("refresh_token", "x")},
        "claimKeys": {"one_time_keys": {user: {device: "signed_curve25519"}}},
        "queryKeys": {"device_keys": {user: []}},
        "search": {"search_categories": {"room_events": events}},
        "setAdminLockUser": {"locked": False},
        "setAdminSuspendUser": {"suspended": False},
        "defineFilter": {"room": {"timeline": {"limit": 5, "types": ["m.*"]}, "rooms": [room_id]}},
        "msc4186.sync": {
            "lists": {"l": {"ranges": [[0, 9]], "timeline_limit": 3, "required_state": [["*", "*"]]}},
            "room_subscriptions": {
                room_id: {"timeline_limit": 2, "required_state": [["m.room.member", "$LAZY"]]}
            },
            "extensions": {"e2ee": {"enabled": True}, "to_device": {"enabled": True}},
        },
        "inviteUser": {"user_id": other},
        "kick": {"user_id": other},
        "ban": {"user_id": other},
        "unban": {"user_id": other},
        "reportEvent": {"score": -50, "reason": "x"},
        "synapse.sendServerNotice": {"user_id": user, "content": {"msgtype": "m.text", "body": "x"}},
    }
