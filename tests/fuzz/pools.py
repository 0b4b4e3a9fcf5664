"""What a run knows of the server that it talks to: values that mean something there."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

KEPT = 60
"""Values of one kind; the oldest go."""

KINDS = {
    "room_id_or_alias": "room_id",
    "replacement_room": "room_id",
    "joined_rooms": "room_id",
    "predecessor": "room_id",
    "root_id": "event_id",
    "redacts": "event_id",
    "target": "user_id",
    "sender": "user_id",
    "mxid": "user_id",
    "user": "user_id",
    "invite": "user_id",
    "users": "user_id",
    "from": "batch",
    "to": "batch",
    "since": "batch",
    "pos": "batch",
    "start": "batch",
    "end": "batch",
    "at": "batch",
    "next_batch": "batch",
    "prev_batch": "batch",
    "next_token": "batch",
    "batch": "batch",
    "type": "event_type",
    "devices": "device_id",
    "dehydrated_device_id": "device_id",
    "token": "access_token",
    "alias": "room_alias",
    "content_uri": "mxc",
    "url": "mxc",
    "avatar_url": "mxc",
    "backup_version": "version",
    "transaction_id": "txn_id",
    "login_token": "access_token",
}
"""Names of parameters and keys, by the kind of value that they take where that is not their own name."""

FIXED: Mapping[str, Sequence[Any]] = {
    "server_name": ["test.example", "127.0.0.1:9", "[::1]:9"],
    "via": ["test.example", "127.0.0.1:9"],
    "event_type": [
        "m.room.message", "m.room.encrypted", "m.reaction", "m.room.name", "m.room.topic",
        "m.room.member", "m.room.power_levels", "m.room.join_rules", "m.room.canonical_alias",
        "m.room.redaction", "m.room.create", "m.room.history_visibility", "m.room.guest_access",
        "m.room.server_acl", "m.room.tombstone", "m.space.child", "m.room.pinned_events",
        "m.room.third_party_invite", "m.room.encryption", "m.direct", "m.fully_read",
        "m.ignored_user_list", "m.push_rules", "m.call.invite", "m.poll.start", "org.example.x",
        "m.login.password", "m.login.dummy", "m.login.token", "m.id.user", "m.secret.request",
    ],
    "state_key": ["", "@fuzz0:test.example", "x"],
    "membership": ["join", "leave", "invite", "ban", "knock"],
    "not_membership": ["leave"],
    "rel_type": ["m.thread", "m.replace", "m.reference", "m.annotation", "org.example.rel"],
    "receipt_type": ["m.read", "m.read.private", "m.fully_read"],
    "kind": ["override", "underride", "sender", "room", "content"],
    "rule_id": [".m.rule.master", ".m.rule.contains_user_name", "mine", "x"],
    "auth_type": ["m.login.registration_token", "m.login.recaptcha", "m.login.terms"],
    "key_name": ["displayname", "avatar_url", "m.tz", "org.example.pronouns"],
    "tag": ["m.favourite", "u.work"],
    "action": ["cancel", "restart", "send"],
    "network_id": ["irc"],
    "appservice_id": ["bridge"],
    "email": ["a@example.invalid"],
    "client_secret": ["secret"],
    "send_attempt": [1, 2],
    "username": ["new", "fuzz0"],
    "userid": ["@_irc_a:test.example"],
    "protocol": ["irc"],
    "medium": ["email", "msisdn"],
    "address": ["a@example.invalid"],
    "id_server": ["127.0.0.1:9"],
    "password": ["correct horse battery"],
    "txn_id": ["t1", "t2", "t3"],
    "batch": ["s1", "s9", "t1-1", "t9-9"],
    "session_id": ["s"],
    "order_by": ["recent", "rank"],
    "search_term": ["hello", "x y", "\"", "*", "a AND b", "NEAR(a b)", "'"],
    "dir": ["b", "f"],
    "method": ["scale", "crop"],
    "room_version": ["1", "2", "3", "5", "6", "8", "10", "11", "12", "99"],
    "new_version": ["1", "6", "10", "11", "12", "99"],
    "visibility": ["public", "private"],
    "preset": ["public_chat", "private_chat", "trusted_private_chat"],
    "algorithm": ["m.megolm_backup.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2", "none"],
    "set_presence": ["online", "offline", "unavailable"],
    "presence": ["online", "offline", "unavailable"],
    "errcode": ["M_FORBIDDEN"],
    "width": [1, 32, 96, 640], "height": [1, 32, 96, 480],
    "ts": [0, 1_700_000_000_000, 2**53], "order": [0.5, "a", 1],
    "timeout": [0, 1, 5], "timeout_ms": [0, 1, 5],
    "version": ["1", "2"],
    "filter": [
        "0", "1", "{}", '{"room":{"timeline":{"limit":1}}}', '{"room":{"state":{"lazy_load_members":true}}}',
        '{"types":["m.room.message"],"limit":2}', '{"event_fields":["content.body"]}',
        '{"related_by_rel_types":["m.thread"]}', '{"room":{"rooms":[]}}', '{"event_format":"federation"}',
    ],
}  # fmt: skip


class Pools:
    """Values by kind: those that are fixed, and those that the server has given out."""

    def __init__(self) -> None:
        self._found: dict[str, deque[str]] = {}
        self._pairs: deque[tuple[str, str]] = deque(maxlen=KEPT)

    def add(self, kind: str, value: str) -> None:
        """Remember a value."""
        known = self._found.setdefault(KINDS.get(kind, kind), deque(maxlen=KEPT))
        if value not in known:
            known.append(value)

    def pick(self, name: str, rng: Random) -> Any:
        """A value for the parameter ``name``; None where nothing is known of it."""
        kind = KINDS.get(name, name)
        fixed = FIXED.get(name) or FIXED.get(kind) or ()
        found = self._found.get(kind, ())
        if found and (not fixed or rng.random() < 0.7):
            return found[rng.randrange(len(found))]
        return rng.choice(fixed) if fixed else None

    def harvest(self, value: Any) -> None:
        """Learn from a response."""
        waiting = [value]
        for _ in range(500):
            if not waiting:
                return
            item = waiting.pop()
            if isinstance(item, list):
                waiting.extend(item[:20])
            elif isinstance(item, dict):
                self._pair(item)
                for name, inner in list(item.items())[:40]:
                    if isinstance(inner, str) and 0 < len(inner) < 300:
                        self._learn(name, inner)
                    else:
                        waiting.append(inner)

    def pair(self, rng: Random, rooms: Sequence[str]) -> dict[str, str]:
        """A room and an event in it, one of ``rooms`` if there is any."""
        known = [pair for pair in self._pairs if pair[0] in rooms] or list(self._pairs)
        if not known:
            return {}
        room_id, event_id = rng.choice(known)
        return {"room_id": room_id, "event_id": event_id}

    def add_pair(self, room_id: str, event_id: str) -> None:
        """Remember that an event is in a room."""
        self._pairs.append((room_id, event_id))

    def _pair(self, item: dict[str, Any]) -> None:
        room_id, event_id = item.get("room_id"), item.get("event_id")
        if isinstance(room_id, str) and isinstance(event_id, str):
            self.add_pair(room_id, event_id)

    def _learn(self, name: str, value: str) -> None:
        if name in ("membership", "type", "state_key", "body", "error", "errcode", "access_token"):
            return
        if value.startswith("mxc://"):
            self.add("mxc", value)
            self.add("media_id", value.rpartition("/")[2])
        elif name in KINDS or name.endswith(("_id", "_token")) or name in ("session", "version"):
            self.add(name, value)
