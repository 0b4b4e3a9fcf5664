"""A large server's rows, made by counting: users, rooms with their state and history, and what is theirs.

They are what a server would have stored, as far as administrators are shown it: nothing is signed, each event
has the room's newest state, and what is searched for is not indexed.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from bench.admin_pages.sinks import Sink, batches
from palpo.core import state_tree
from palpo.core.events import StateKey

NOW = 1_780_000_000_000
"""Milliseconds since the Unix epoch."""
HOUR = 3_600_000
WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "inlet", "juniper")
TYPES = ("image/png", "image/jpeg", "video/mp4", "application/pdf", "text/plain")
MEMBERS = 8000
"""Of the largest room; each has fewer than the one before."""
SIGNATURE = {"bench.localhost": {"ed25519:a": "A" * 86}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many there are of what."""

    users: int = 100_000
    rooms: int = 5_000
    events: int = 1_000_000
    servers: int = 2_000
    media: int = 100_000
    reports: int = 10_000
    audit_log: int = 100_000
    registration_tokens: int = 1_000
    jobs: int = 2_000


class Names:
    """What users, rooms and files are called."""

    def __init__(self, server_name: str, size: Size) -> None:
        self._name = server_name
        self._size = size

    def user(self, number: int) -> str:
        """One of the users here."""
        return f"@{WORDS[number % 10]}{number:06}:{self._name}"

    def room(self, number: int) -> str:
        """One of the rooms; the first is the largest."""
        return f"!{_name('room', number)[:18]}:{self._name}"

    def mxc(self, number: int) -> str:
        """The URI of a file."""
        return f"mxc://{self._name}/{_name('media', number % self._size.media)[:24]}"


class Filling(Names):
    """Fills an empty database, whose one user is the administrator."""

    def __init__(self, sink: Sink, server_name: str, size: Size) -> None:
        super().__init__(server_name, size)
        self._sink = sink
        self._position = 1_000
        self._events = 0
        self._left = size.events

    async def fill(self) -> None:
        """All of it."""
        await self._users()
        await self._rooms()
        await self._media()
        await self._rest()
        await self._sink.run(f"UPDATE stream_position SET position = {self._position}")
        await self._sink.run(f"UPDATE consumers SET position = {self._position}")
        await self._sink.close()

    async def _add(self, table: str, columns: str, rows: Iterator[Sequence[Any]]) -> None:
        for batch in batches(rows):
            await self._sink.add(table, columns.split(), batch)

    async def _users(self) -> None:
        numbers = range(self._size.users)
        await self._add(
            "users",
            "user_id password_hash created_ts is_guest is_admin appservice_id deactivated erased locked"
            " suspended shadow_banned user_type list_name list_avatar last_seen_ts",
            (
                (
                    self.user(n),
                    None,
                    _ago(n),
                    int(n % 97 == 0),
                    int(n % 9973 == 0),
                    None,
                    int(n % 50 == 7),
                    0,
                    int(n % 500 == 3),
                    int(n % 700 == 5),
                    0,
                    "bot" if n % 1000 == 9 else None,
                    _display(n).lower(),
                    f"mxc://{self._name}/{_name('avatar', n)[:24]}" if n % 3 == 0 else "",
                    _ago(n * 7),
                )
                for n in numbers
            ),
        )
        await self._add(
            "profiles",
            "user_id fields position",
            ((self.user(n), orjson.dumps({"displayname": _display(n)}), n + 1) for n in numbers),
        )
        await self._add(
            "devices",
            "user_id device_id display_name created_ts last_seen_ts last_seen_ip user_agent",
            (
                (
                    self.user(n),
                    f"DEVICE{m}",
                    "Phone",
                    _ago(n),
                    _ago(n * 7 + m),
                    f"192.0.2.{n % 256}",
                    "Client/1.0",
                )
                for n in numbers
                for m in range(1 + n % 2)
            ),
        )
        await self._add(
            "access_tokens",
            "token_hash user_id device_id refresh_hash expires_ts created_ts used made_by",
            (
                (_digest("token", n * 2 + m), self.user(n), f"DEVICE{m}", None, None, _ago(n), 1, None)
                for n in numbers
                for m in range(1 + n % 2)
            ),
        )
        await self._add(
            "threepids",
            "medium address user_id validated_ts added_ts",
            (("email", f"user{n}@example.org", self.user(n), _ago(n), _ago(n)) for n in numbers[::2]),
        )

    async def _rooms(self) -> None:
        for number in range(self._size.rooms):
            await self._one_room(number)

    async def _one_room(self, number: int) -> None:
        room_id, first = self.room(number), self._position + 1
        members = self._members(number)
        state = {key: _name("event", self._events + i) for i, key in enumerate(self._state_keys(members))}
        built = state_tree.build(state)
        messages = self._messages(number, len(members), len(state))
        events = list(self._history(room_id, number, members, state, built.root, messages))
        self._left -= len(events)
        newest = events[-1]
        await self._sink.add(
            "rooms",
            [
                "room_id",
                "version",
                "create_event_id",
                "head",
                "extremities",
                "depth",
                "place",
                "state_root",
                "position",
                "newest_outgoing",
            ],
            [
                (
                    room_id,
                    "11",
                    state["m.room.create", ""],
                    len(events),
                    orjson.dumps([newest[0]]),
                    len(events),
                    len(events),
                    built.root,
                    self._position,
                    newest[0],
                )
            ],
        )
        await self._add("state_nodes", "hash node", iter(built.new_nodes.items()))
        await self._add(
            "events",
            "event_id room_id position place type state_key sender origin_server_ts state_before state_after"
            " room_state status outgoing pdu",
            iter(events),
        )
        await self._add(
            "memberships",
            "room_id user_id membership event_id sender position forgotten stripped_state",
            ((room_id, user, "join", state["m.room.member", user], user, first, 0, None) for user in members),
        )
        await self._servers_of(room_id, members, first)
        if number % 5 == 0:
            row = (room_id, "", 1, first)
            await self._sink.add("published_rooms", ["room_id", "network_id", "listed", "position"], [row])

    def _messages(self, number: int, members: int, state: int) -> int:
        """A tenth of all is in the first room; each has some, and the last one what is left."""
        rooms_left = self._size.rooms - number - 1
        spare = max(0, self._left - rooms_left * 90 - state)
        if not rooms_left:
            return spare
        return min(spare, self._size.events // 10 if number == 0 else 20 + members * 2)

    def _members(self, number: int) -> list[str]:
        """Of the first room many, of the last ones two; one in five is of another server."""
        count = max(2, int(MEMBERS * min(1.0, self._size.users / 100_000) / (number + 1) ** 0.7))
        found = {}
        for i in range(count):
            n = (number * 7919 + i * 13) % self._size.users
            other = f"s{n % self._size.servers}.example.org"
            found[f"@remote{n}:{other}" if i % 5 == 4 else self.user(n)] = None
        return list(found)

    @staticmethod
    def _state_keys(members: list[str]) -> list[StateKey]:
        plain = ("create", "power_levels", "join_rules", "history_visibility", "name", "topic")
        return [*((f"m.room.{name}", "") for name in plain), *(("m.room.member", user) for user in members)]

    def _history(
        self,
        room_id: str,
        number: int,
        members: list[str],
        state: dict[StateKey, str],
        root: bytes,
        messages: int,
    ) -> Iterator[tuple[Any, ...]]:
        creator, last = members[0], ""
        for place in range(1, len(state) + messages + 1):
            event_id = _name("event", self._events)
            self._events += 1
            self._position += 1
            if place <= len(state):
                type_, key = self._state_keys(members)[place - 1] if place < 7 else _member(members, place)
                sender = key or creator
                content: Any = _content(type_, creator, number)
            else:
                type_, key, sender = "m.room.message", None, members[place % len(members)]
                content = {
                    "msgtype": "m.text",
                    "body": f"Message {place} with some words in it, as people write",
                }
                if place % 50 == 0:
                    content = {"msgtype": "m.image", "body": "a.png", "url": self.mxc(place * 31)}
            ts = NOW - (self._size.events - self._events) * 1000
            pdu = {
                "auth_events": [last] if last else [],
                "content": content,
                "depth": place,
                "hashes": {"sha256": "B" * 43},
                "origin_server_ts": ts,
                "prev_events": [last] if last else [],
                "room_id": room_id,
                "sender": sender,
                "signatures": SIGNATURE,
                "type": type_,
            } | ({} if key is None else {"state_key": key})
            yield (
                event_id,
                room_id,
                self._position,
                place,
                type_,
                key,
                sender,
                ts,
                root,
                root,
                root,
                0,
                int(sender.endswith(self._name)),
                orjson.dumps(pdu),
            )
            last = event_id

    async def _servers_of(self, room_id: str, members: list[str], position: int) -> None:
        joined: dict[str, int] = {}
        for user in members:
            server = user.partition(":")[2]
            if server != self._name:
                joined[server] = joined.get(server, 0) + 1
        await self._add(
            "room_servers",
            "room_id server_name joined position",
            ((room_id, server, count, position) for server, count in joined.items()),
        )

    async def _media(self) -> None:
        columns = (
            "origin media_id user_id created_ts expires_ts sha256 size content_type filename authenticated"
            " quarantined quarantined_by protected last_access_ts"
        )
        await self._add(
            "media",
            columns,
            (
                (
                    self._name,
                    self.mxc(n).rpartition("/")[2],
                    self.user(n % 30000 if n % 20 else 0),
                    _ago(n),
                    None,
                    _digest("media", n),
                    1000 + n * 37 % 500000,
                    TYPES[n % 5],
                    f"file{n}.bin",
                    1,
                    int(n % 300 == 0),
                    self.user(0) if n % 300 == 0 else None,
                    int(n % 400 == 1),
                    _ago(n * 3),
                )
                for n in range(self._size.media)
            ),
        )

    async def _rest(self) -> None:
        size = self._size
        await self._add(
            "reports",
            "position reporter room_id event_id user_id reason score received_ts",
            (
                (self._next(), self.user(n * 3), *self._reported(n), "It is spam", -n % 100, _ago(n))
                for n in range(size.reports)
            ),
        )
        await self._add(
            "audit_log",
            "position at_ts actor via action target details status address",
            (
                (
                    self._next(),
                    _ago(size.audit_log - n),
                    f"@admin:{self._name}" if n % 3 else self.user(0),
                    "api",
                    "synapse.putUser",
                    self.user(n),
                    b'{"locked":true}',
                    200,
                    "192.0.2.1",
                )
                for n in range(size.audit_log)
            ),
        )
        await self._add(
            "registration_tokens",
            "token uses_allowed completed expires_ts created_ts",
            ((f"token{n}", 5, n % 5, NOW + n * HOUR * 24, _ago(n)) for n in range(size.registration_tokens)),
        )
        await self._add(
            "jobs",
            "job_id kind target params requested_by state checkpoint progress result error created_ts"
            " changed_ts",
            (
                (
                    f"job{n:08}",
                    "purge_history",
                    self.room(n % size.rooms),
                    b"{}",
                    f"@admin:{self._name}",
                    "complete",
                    b"null",
                    b'{"events":1000}',
                    b"{}",
                    "",
                    _ago(n),
                    _ago(n),
                )
                for n in range(size.jobs)
            ),
        )
        await self._add(
            "destinations",
            "server_name sent_upto failures failing_since_ts retry_ts error",
            (
                (f"s{n}.example.org", self._position - n, n % 12, _ago(n), NOW + HOUR, "does not answer")
                for n in range(0, size.servers, 4)
            ),
        )

    def _next(self) -> int:
        self._position += 1
        return self._position

    def _reported(self, n: int) -> tuple[str | None, str | None, str | None]:
        """A room, an event and a user."""
        if n % 3 == 0:
            return None, None, self.user(n)
        return self.room(0), _name("event", 20_000 + n) if n % 3 == 1 else None, None


def _member(members: list[str], place: int) -> StateKey:
    return "m.room.member", members[place - 7]


def _content(type_: str, creator: str, number: int) -> Any:
    contents: dict[str, Any] = {
        "m.room.create": {"creator": creator, "room_version": "11"},
        "m.room.power_levels": {"users": {creator: 100}},
        "m.room.join_rules": {"join_rule": "public" if number % 5 == 0 else "invite"},
        "m.room.history_visibility": {"history_visibility": "shared"},
        "m.room.name": {"name": f"{WORDS[number % 10].title()} room {number}"},
        "m.room.topic": {"topic": "What people talk about"},
    }
    return contents.get(type_, {"membership": "join", "displayname": "Somebody"})


def _display(number: int) -> str:
    return f"{WORDS[number % 10].title()} {WORDS[number // 10 % 10].title()} {number}"


def _ago(hours: int) -> int:
    return NOW - hours % 20_000 * HOUR - hours % 977


def _digest(kind: str, number: int) -> bytes:
    return hashlib.sha256(f"{kind} {number}".encode()).digest()


def _name(kind: str, number: int) -> str:
    text = base64.urlsafe_b64encode(_digest(kind, number)).decode().rstrip("=")
    return f"${text}" if kind == "event" else text.replace("_", "a").replace("-", "b")
