"""Large rooms and accounts: made once for each version of a server, and kept for later runs.

A homeserver needs minutes for it, so its database and its folder are kept in ``.services/bench-worlds``.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.side_by_side import matrix
from bench.side_by_side.matrix import User
from bench.side_by_side.postgres import Postgres
from bench.side_by_side.servers import ROOT, Server
from bench.side_by_side.world import all_of, in_parallel

WORLDS = ROOT / ".services" / "bench-worlds"
MEMBERS, ROOMS, MESSAGES = 1000, 500, 5
AT_ONCE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeWorld:
    """A room of 1,000 members, and an account in 500 rooms, each with another member and five messages."""

    room_id: str
    members: list[User]
    account: User
    rooms: list[str]

    def other(self, room: int) -> User:
        """Who else is in the room ``rooms[room]``."""
        return self.members[room % len(self.members)]

    def to_json(self) -> str:
        """For ``from_json``."""
        users = [(user.user_id, user.token) for user in (self.account, *self.members)]
        return json.dumps({"room_id": self.room_id, "users": users, "rooms": self.rooms})

    @classmethod
    def from_json(cls, text: str, port: int) -> LargeWorld:
        """What ``to_json`` returned, on a server that listens on ``port`` now."""
        content = json.loads(text)
        account, *members = [User(port, user_id, token) for user_id, token in content["users"]]
        return cls(room_id=content["room_id"], members=members, account=account, rooms=content["rooms"])


async def prepared(kind: type[Server], folder: Path, postgres: Postgres | None) -> tuple[Server, LargeWorld]:
    """A server, not started yet, whose data is a copy of a large world."""
    kept = WORLDS / _key(kind(folder, ""), postgres)
    if not (kept / "world.json").exists() or (postgres and not await postgres.has_database(kept.name)):
        await _build(kind, folder, postgres, kept)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(kept / "data", folder)
    url = await postgres.create_database(folder.name, template=kept.name) if postgres else ""
    server = kind(folder, url)
    return server, LargeWorld.from_json((kept / "world.json").read_text(), server.port)


def _key(server: Server, postgres: Postgres | None) -> str:
    recipe = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
    return f"{server.name}-{'postgresql' if postgres else 'sqlite'}-{server.data_version()}-{recipe}"


async def _build(kind: type[Server], folder: Path, postgres: Postgres | None, kept: Path) -> None:
    start = time.monotonic()
    url = await postgres.create_database(folder.name) if postgres else ""
    server = kind(folder, url)
    server.quick_passwords = True
    await server.start()
    try:
        world = await _fill(server, start)
    finally:
        server.stop()
    if postgres:
        await postgres.keep_database(folder.name, kept.name)
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(folder, kept / "data")
    (kept / "world.json").write_text(world.to_json())
    _say(f"{server.name}: a large world took {time.monotonic() - start:.0f} s to make; it is kept in {kept}")


async def _fill(server: Server, start: float) -> LargeWorld:
    def tell(what: str) -> None:
        _say(f"{server.name}: {what} after {time.monotonic() - start:.0f} s")

    names = [f"member{number}" for number in range(MEMBERS)]
    members = await in_parallel(8, [partial(matrix.register, server.port, name) for name in names])
    tell(f"{MEMBERS} accounts")
    room_id = await members[0].create_room(name="Everybody")
    await in_parallel(AT_ONCE, [partial(member.join, room_id) for member in members[1:]])
    await members[0].send(room_id)
    tell(f"a room of {MEMBERS} members")
    account = await matrix.register(server.port, "account")
    rooms = await _rooms(account, members)
    tell(f"an account in {ROOMS} rooms")
    return LargeWorld(room_id=room_id, members=members, account=account, rooms=rooms)


async def _rooms(account: User, members: list[User]) -> list[str]:
    """The account's rooms: a few are made at once, each on a connection of its own."""
    sessions = [await account.login() for _ in range(AT_ONCE)]
    rooms: dict[int, str] = {}

    async def make(first: int) -> None:
        session = sessions[first]
        for number in range(first, ROOMS, AT_ONCE):
            room_id = rooms[number] = await session.create_room(name=f"Room {number}", topic="What is said")
            other = members[number % len(members)]
            await other.join(room_id)
            for message in range(MESSAGES):
                await (session if message % 2 else other).send(room_id, f"Message {message}")

    await all_of([make(first) for first in range(AT_ONCE)])
    for session in sessions:
        await session.log_out()
    return [rooms[number] for number in range(ROOMS)]


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)
