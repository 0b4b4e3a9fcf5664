"""Server notices: who may send them, and the room that they are sent to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.homeserver import Client, Homeserver, homeserver

PATH = "//_synapse/admin/v1/send_server_notice"
SENDER = "@_server:test.example"
NOTICE = {"msgtype": "m.text", "body": "The server will be away at noon"}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Homeserver]:
    admins = ["@admin:test.example"]
    async with homeserver(tmp_path, server_notices={"enabled": True}, admins=admins) as server:
        yield server


async def notify(admin: Client, to: str, *, transaction_id: str | None = None, **options: Any) -> Any:
    body = {"user_id": to, "content": NOTICE}
    if transaction_id is not None:
        return await admin.request("PUT", f"{PATH}/{transaction_id}", body, **options)
    return await admin.request("POST", PATH, body, **options)


async def invites(client: Client) -> dict[str, Any]:
    rooms = (await client.get("/sync")).get("rooms", {})
    found: dict[str, Any] = rooms.get("invite", {})
    return found


async def test_a_notice_reaches_its_user(admin: Client, alice: Client) -> None:
    event_id = (await notify(admin, alice.user_id))["event_id"]

    ((room_id, invite),) = (await invites(alice)).items()
    state = {event["type"]: event for event in invite["invite_state"]["events"]}
    assert {event["sender"] for event in state.values()} == {SENDER}
    assert state["m.room.name"]["content"] == {"name": "Server notices"}
    tags = await alice.get(f"/user/{alice.user_id}/rooms/{room_id}/tags")
    assert list(tags["tags"]) == ["m.server_notice"]
    await alice.post(f"/join/{room_id}")
    event = await alice.get(f"/rooms/{room_id}/event/{event_id}")
    assert (event["sender"], event["content"]) == (SENDER, NOTICE)
    members = (await alice.get(f"/rooms/{room_id}/joined_members"))["joined"]
    assert members[SENDER]["display_name"] == "Server notices"
    path = f"/rooms/{room_id}/send/m.room.message/1"
    assert (await alice.put(path, NOTICE, status=403))["errcode"] == "M_FORBIDDEN"


async def test_the_server_makes_as_many_rooms_as_it_has_users(tmp_path: Path) -> None:
    quotas = {"rooms": {"user": 1, "server": 0}}
    notices = {"enabled": True}
    async with homeserver(
        tmp_path, server_notices=notices, admins=["@admin:test.example"], quotas=quotas
    ) as server:
        admin = await server.register("admin")
        for name in ("alice", "bob"):
            await notify(admin, (await server.register(name)).user_id)


async def test_the_invite_cannot_be_rejected(admin: Client, alice: Client) -> None:
    await notify(admin, alice.user_id)
    (room_id,) = await invites(alice)

    answer = await alice.post(f"/rooms/{room_id}/leave", status=403)
    assert answer["errcode"] == "M_CANNOT_LEAVE_SERVER_NOTICE_ROOM"
    path = f"/rooms/{room_id}/state/m.room.member/{alice.user_id}"
    answer = await alice.put(path, {"membership": "leave"}, status=403)
    assert answer["errcode"] == "M_CANNOT_LEAVE_SERVER_NOTICE_ROOM"
    assert list(await invites(alice)) == [room_id]


async def test_who_has_left_is_invited_again_to_the_same_room(admin: Client, alice: Client) -> None:
    await notify(admin, alice.user_id)
    (room_id,) = await invites(alice)
    await alice.post(f"/join/{room_id}")
    await notify(admin, alice.user_id)
    assert await invites(alice) == {}
    await alice.post(f"/rooms/{room_id}/leave")
    await alice.post(f"/rooms/{room_id}/forget")

    await notify(admin, alice.user_id)

    assert list(await invites(alice)) == [room_id]


async def test_other_invites_can_be_rejected(server: Homeserver, admin: Client, alice: Client) -> None:
    await notify(admin, alice.user_id)
    room_id = await admin.create_room(invite=[alice.user_id])

    await alice.post(f"/rooms/{room_id}/leave")


async def test_the_same_transaction_sends_once(admin: Client, alice: Client) -> None:
    first = await notify(admin, alice.user_id, transaction_id="1")
    again = await notify(admin, alice.user_id, transaction_id="1")
    other = await notify(admin, alice.user_id, transaction_id="2")

    assert first == again
    assert other != first


async def test_notices_at_once_go_to_one_room(admin: Client, alice: Client) -> None:
    import asyncio

    await asyncio.gather(*[notify(admin, alice.user_id) for _ in range(5)])

    assert len(await invites(alice)) == 1


async def test_state_can_be_sent_too(admin: Client, alice: Client) -> None:
    event_id = (await notify(admin, alice.user_id))["event_id"]
    body = {
        "user_id": alice.user_id,
        "type": "m.room.pinned_events",
        "state_key": "",
        "content": {"pinned": [event_id]},
    }
    await admin.request("POST", PATH, body)

    (room_id,) = await invites(alice)
    await alice.post(f"/join/{room_id}")
    pinned = await alice.get(f"/rooms/{room_id}/state/m.room.pinned_events")
    assert pinned == {"pinned": [event_id]}


@pytest.mark.parametrize(
    ("change", "status", "errcode"),
    [
        ({"user_id": "@nobody:test.example"}, 404, "M_NOT_FOUND"),
        ({"user_id": "@alice:elsewhere.example"}, 400, "M_INVALID_PARAM"),
        ({"user_id": "alice"}, 400, "M_INVALID_PARAM"),
        ({"user_id": SENDER}, 400, "M_INVALID_PARAM"),
        ({"type": "m.room.member"}, 400, "M_INVALID_PARAM"),
        ({"type": "x" * 256}, 400, "M_INVALID_PARAM"),
        ({"state_key": "\0"}, 400, "M_INVALID_PARAM"),
        ({"content": "hello"}, 400, "M_BAD_JSON"),
        ({"content": {"body": "x", "msgtype": 1.5}}, 400, "M_BAD_JSON"),
        ({"content": {}}, 400, "M_INVALID_PARAM"),
        ({"content": {"body": "hello"}}, 400, "M_INVALID_PARAM"),
    ],
)
async def test_bad_requests(
    admin: Client, alice: Client, change: dict[str, Any], status: int, errcode: str
) -> None:
    body = {"user_id": alice.user_id, "content": NOTICE, **change}

    answer = await admin.request("POST", PATH, body, status=status)

    assert answer["errcode"] == errcode


async def test_only_administrators_may_send(alice: Client) -> None:
    answer = await alice.request("POST", PATH, status=403)

    assert answer["errcode"] == "M_FORBIDDEN"


async def test_nobody_else_can_be_the_sender(server: Homeserver) -> None:
    body = {"username": "_server", "password": "correct horse battery", "auth": {"type": "m.login.dummy"}}

    answer = await server.client().post("/register", body, status=400)

    assert answer["errcode"] in ("M_USER_IN_USE", "M_EXCLUSIVE")


async def test_notices_are_off_unless_they_are_wanted(tmp_path: Path) -> None:
    async with homeserver(tmp_path, admins=["@admin:test.example"]) as server:
        admin = await server.register("admin")
        answer = await notify(admin, admin.user_id, status=400)
        assert answer["errcode"] == "M_UNKNOWN"
