"""Two people chat with matrix-nio, a client library that others wrote."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import nio
import pytest
from PIL import Image

from tests.support.process import ServerProcess

# nio's dependencies are not free of deprecated calls; its own warnings are not ours to mend.
pytestmark = pytest.mark.filterwarnings("default")

PASSWORD = "correct horse battery"


@asynccontextmanager
async def client(server: ServerProcess, name: str) -> AsyncIterator[nio.AsyncClient]:
    """A client that has registered with the server's token."""
    made = nio.AsyncClient(server.url, f"@{name}:localhost")
    try:
        answer = await made.register_with_token(name, PASSWORD, server.registration_token)
        assert isinstance(answer, nio.RegisterResponse), answer
        yield made
    finally:
        await made.close()


def texts(answer: nio.SyncResponse, room_id: str) -> list[str]:
    timeline = answer.rooms.join[room_id].timeline.events
    return [event.body for event in timeline if isinstance(event, nio.RoomMessageText)]


async def say(client: nio.AsyncClient, room_id: str, body: str) -> str:
    content = {"msgtype": "m.text", "body": body}
    answer = await client.room_send(room_id, "m.room.message", content)
    assert isinstance(answer, nio.RoomSendResponse), answer
    return str(answer.event_id)


async def synced(client: nio.AsyncClient, timeout: int = 0) -> nio.SyncResponse:
    answer = await client.sync(timeout=timeout)
    assert isinstance(answer, nio.SyncResponse), answer
    return answer


async def test_a_conversation(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        async with client(server, "alice") as alice, client(server, "bob") as bob:
            made = await alice.room_create(name="Tea", invite=[bob.user_id])
            assert isinstance(made, nio.RoomCreateResponse), made
            room_id = made.room_id
            assert room_id in (await synced(bob)).rooms.invite
            assert isinstance(await bob.join(room_id), nio.JoinResponse)

            await say(alice, room_id, "hello bob")
            answer = await synced(bob)
            assert "hello bob" in texts(answer, room_id)
            assert bob.rooms[room_id].name == "Tea"
            await synced(alice)
            await say(bob, room_id, "hello alice")
            assert texts(await synced(alice, 5000), room_id) == ["hello alice"]

            picture = io.BytesIO()
            Image.new("RGB", (64, 48), "teal").save(picture, "PNG")
            data = picture.getvalue()
            uploaded, _ = await alice.upload(
                io.BytesIO(data), content_type="image/png", filename="tea.png", filesize=len(data)
            )
            assert isinstance(uploaded, nio.UploadResponse), uploaded
            content = {"msgtype": "m.image", "body": "tea.png", "url": uploaded.content_uri}
            await alice.room_send(room_id, "m.room.message", content)
            seen = (await synced(bob)).rooms.join[room_id].timeline.events[-1]
            assert isinstance(seen, nio.RoomMessageImage)
            downloaded = await bob.download(mxc=seen.url)
            assert isinstance(downloaded, nio.DownloadResponse), downloaded
            assert downloaded.body == data
        assert server.stop() == 0
        assert "Traceback" not in server.log
