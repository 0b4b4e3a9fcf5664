"""What is sent again does nothing."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from palpo.core.state_keys import MEMBER
from tests.support.handshakes import make, send, signed
from tests.support.homeserver import Client, Homeserver
from tests.support.remote_invites import OtherRoom
from tests.support.remote_server import RemoteServer
from tests.support.remote_users import BOB, Remote


async def timeline(alice: Client, room_id: str) -> list[str]:
    page = await alice.get(f"/rooms/{room_id}/messages?dir=b&limit=100")
    return [item["event_id"] for item in page["chunk"]]


@pytest.mark.parametrize("membership", ["join", "leave"])
async def test_replays_of_handshakes_do_nothing(
    server: Homeserver, remote: RemoteServer, alice: Client, membership: str
) -> None:
    """Neither at once nor after other things have happened: who has left is not in again."""
    room_id = await alice.create_room(preset="public_chat")
    join = signed(remote, await make(remote, server, "join", room_id, BOB))
    first = await send(remote, server, "join", room_id, join)
    event = join
    if membership == "leave":
        event = signed(remote, await make(remote, server, "leave", room_id, BOB))
        await send(remote, server, "leave", room_id, event)
    before = await timeline(alice, room_id)
    await send(remote, server, membership, room_id, event, status=200)
    assert await timeline(alice, room_id) == before
    room = Remote(server, room_id)
    last = "leave" if membership == "join" else "join"
    await room.send(await room.event(BOB, (MEMBER, BOB), {"membership": last}))
    before = await timeline(alice, room_id)
    url = f"/_matrix/federation/v2/send_{membership}/{quote(room_id, safe='')}/{quote(event[0], safe='')}"
    told = await remote.raw(server, "PUT", url, event[1])
    assert told.status_code < 500
    assert await timeline(alice, room_id) == before
    joined = (await alice.get(f"/rooms/{room_id}/joined_members"))["joined"]
    assert (BOB in joined) == (last == "join")
    assert first


async def test_replays_of_invites_do_nothing(server: Homeserver, remote: RemoteServer, alice: Client) -> None:
    """Once at a time is enough: one that was declined is not there again."""
    room = OtherRoom(remote)
    invite = room.membership(alice.user_id, "invite")
    await room.invite(server, invite)
    await room.invite(server, invite)
    news = await alice.get("/sync")
    assert list(news["rooms"]["invite"]) == [room.room_id]
    await alice.post(f"/rooms/{room.room_id}/leave")
    assert "invite" not in (await alice.get("/sync")).get("rooms", {})
