"""A bridge made with mautrix, the framework of many real ones, beside a server of its own process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.appservices import AS_TOKEN, HS_TOKEN, registration
from tests.support.process import ServerProcess, free_port

mautrix = pytest.importorskip("mautrix.appservice", reason="mautrix is not installed")
from mautrix.appservice.state_store import FileASStateStore  # noqa: E402
from mautrix.types import EventType, MessageType, TextMessageEventContent  # noqa: E402

# Its dependencies are not free of deprecated calls; its own warnings are not ours to mend.
pytestmark = pytest.mark.filterwarnings("default")

PASSWORD = "correct horse battery"
CONFIG = """\
server_name = "localhost"
data = {data}
appservices = [{registration}]

[[listeners]]
bind = "127.0.0.1:{port}"

[registration]
open = true
"""


@asynccontextmanager
async def bridge(server: ServerProcess, port: int, folder: Path) -> AsyncIterator[Any]:
    """A running bridge whose ghosts are ``@_irc_*``."""
    made = mautrix.AppService(
        server=server.url,
        domain="localhost",
        id="bridge",
        as_token=AS_TOKEN,
        hs_token=HS_TOKEN,
        bot_localpart="_bridge",
        state_store=FileASStateStore(path=str(folder / "bridge.json"), binary=False),
        ephemeral_events=True,
    )
    await made.start("127.0.0.1", port)
    try:
        yield made
    finally:
        await made.stop()


async def until(condition: Callable[[], Any]) -> None:
    """Wait until ``condition()`` is true; the lease of a server that was killed ends after some 15 s."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - nobody says when it comes true
            await asyncio.sleep(0.02)


class Alice:
    """A user of the server, with plain HTTP."""

    def __init__(self, server: ServerProcess) -> None:
        self._http = httpx.AsyncClient(base_url=f"{server.url}/_matrix/client/v3")

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of a call that succeeds."""
        answer = await self._http.request(method, path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def register(self) -> None:
        """Make the account."""
        body = {"username": "alice", "password": PASSWORD, "auth": {"type": "m.login.dummy"}}
        made = await self.call("POST", "/register", body)
        self._http.headers["Authorization"] = f"Bearer {made['access_token']}"

    async def say(self, room_id: str, body: str) -> None:
        """Send a message."""
        content = {"msgtype": "m.text", "body": body}
        await self.call("PUT", f"/rooms/{room_id}/send/m.room.message/{body}", content)

    async def messages(self, room_id: str) -> list[tuple[str, str]]:
        """``(sender, body)`` of the messages in the room, oldest first."""
        found = await self.call("GET", f"/rooms/{room_id}/messages?dir=f&limit=100")
        texts = [event for event in found["chunk"] if event["type"] == "m.room.message"]
        return [(event["sender"], event["content"]["body"]) for event in texts]

    async def close(self) -> None:
        """Hang up."""
        await self._http.aclose()


async def test_a_bridge_carries_a_conversation(tmp_path: Path) -> None:
    port = free_port()
    server = ServerProcess(tmp_path / "server")
    server.data.mkdir()
    spaces = {"users": [{"regex": "@_irc_.*:localhost", "exclusive": True}]}
    file = registration(
        tmp_path,
        url=f"http://127.0.0.1:{port}",
        namespaces=spaces,
        receive_ephemeral=True,
        rate_limited=False,
    )
    config = CONFIG.format(data=json.dumps(str(server.data)), registration=json.dumps(file), port=server.port)
    (server.data / "palpo.toml").write_text(config)
    with server:
        alice = Alice(server)
        await alice.register()
        async with bridge(server, port, tmp_path) as running:
            heard: list[tuple[str, str]] = []

            async def hear(event: Any) -> None:
                if event.type == EventType.ROOM_MESSAGE and not event.sender.startswith("@_"):
                    heard.append((event.sender, event.content.body))

            running.matrix_event_handler(hear)
            assert await running.ping_self("hello") >= 0
            bot = running.intent
            await bot.ensure_registered()
            await bot.set_displayname("The bridge")
            room_id = await bot.create_room(name="#irc", invitees=["@alice:localhost"])
            await alice.call("POST", f"/join/{room_id}", {})

            ghost = bot.user("@_irc_ann:localhost")
            await ghost.ensure_joined(room_id, bot=bot)
            await ghost.set_displayname("ann (IRC)")
            content = TextMessageEventContent(msgtype=MessageType.TEXT, body="hello from IRC")
            await ghost.send_message(room_id, content, timestamp=1_000_000_000_000)
            await alice.say(room_id, "hello")
            await until(lambda: heard)
            assert heard == [("@alice:localhost", "hello")]
            members = await alice.call("GET", f"/rooms/{room_id}/joined_members")
            assert members["joined"]["@_irc_ann:localhost"]["display_name"] == "ann (IRC)"
        await alice.say(room_id, "are-you-there")
        server.kill()
        server.start()
        async with bridge(server, port, tmp_path) as running:
            running.matrix_event_handler(hear)
            await running.ping_self()
            await until(lambda: len(heard) == 2)
            assert heard[1] == ("@alice:localhost", "are-you-there")
            await running.intent.user("@_irc_ann:localhost").send_text(room_id, "yes")
        assert await alice.messages(room_id) == [
            ("@_irc_ann:localhost", "hello from IRC"),
            ("@alice:localhost", "hello"),
            ("@alice:localhost", "are-you-there"),
            ("@_irc_ann:localhost", "yes"),
        ]
        await alice.close()
