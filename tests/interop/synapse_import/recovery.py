"""Users of matrix-js-sdk with cross-signing, secret storage and a key backup, and their next login."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.interop.test_js_sdk import stage, tools
from tests.support.puppets import puppets
from tests.support.two_servers import Neighbour

SAID = ("the first of the past", "and the second")


@dataclass(slots=True)
class Recovery:
    """Carol and Dave, who have verified each other; she keeps a password and a recovery key."""

    server: Neighbour
    folder: Path
    recovery_key: str = ""
    room_id: str = ""
    said: dict[str, str] = field(default_factory=dict)
    """By event ID, in an encrypted room."""
    tokens: dict[str, str] = field(default_factory=dict)
    """Access tokens by user ID."""

    async def begin(self) -> None:
        """Register, verify each other, talk; and wait until the sessions are in the backup."""
        environment = tools()
        self.folder.mkdir(parents=True)
        stage(self.folder / "before", environment)
        async with puppets(self.folder / "before", self.server.url, environment) as node:
            carol, dave = [await node.do("register", name, self.server.url) for name in ("carol", "dave")]
            self.recovery_key = await node.do("secure", "carol")
            await node.do("secure", "dave")
            self.room_id = await node.do("create", "carol", dave)
            await node.do("join", "dave", self.room_id, self.server.name)
            for name in ("carol", "dave"):
                await node.do("knows", name, self.room_id, carol, dave)
            await node.do("verify", "carol", "dave", self.room_id)
            for name, body in zip(("carol", "dave"), SAID, strict=True):
                event_id = await node.do("say", name, self.room_id, body)
                self.said[event_id] = body
                for reader in ("carol", "dave"):
                    assert await node.do("body", reader, self.room_id, event_id) == body
            for name in ("carol", "dave"):
                await node.do("backedUp", name, len(SAID))
            for user, name in ((carol, "carol"), (dave, "dave")):
                self.tokens[user] = await node.do("token", name)
                await node.do("stop", name)

    async def login_again(self) -> dict[str, Any]:
        """Carol on a new device, with her password and her recovery key: what she has and reads there."""
        environment = tools()
        stage(self.folder / "after", environment)
        async with puppets(self.folder / "after", self.server.url, environment) as node:
            carol = await node.do("login", "tablet", "carol", self.server.url)
            found: dict[str, Any] = await node.do("recover", "tablet", self.recovery_key)
            read = [await node.do("body", "tablet", self.room_id, event_id) for event_id in self.said]
            dave = carol.replace("carol", "dave", 1)
            found |= {"read": read, "trusts": await node.do("trusts", "tablet", dave)}
            await node.do("login", "laptop", "dave", self.server.url)
            event_id = await node.do("say", "laptop", self.room_id, "after the move")
            found["after"] = await node.do("body", "tablet", self.room_id, event_id)
            return found
