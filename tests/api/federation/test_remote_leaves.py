"""Users of ours knock on rooms of other servers, take that back, and turn their invites down."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from palpo.core.identifiers import ServerName, UserId
from palpo.core.state_keys import JOIN_RULES, MEMBER, NAME
from tests.support.federation import Asked
from tests.support.homeserver import Client, Homeserver
from tests.support.pairs import Town
from tests.support.remote_rooms import RemoteRoom
from tests.support.remote_server import RemoteServer, remote_server
from tests.support.remote_users import BOB, KEY, SERVER
from tests.support.resident import FEDERATION, Resident, refusal

SHOWN = [{"type": "m.room.name", "state_key": "", "sender": BOB, "content": {"name": "Elsewhere"}}]


async def invite(server: Homeserver, room: RemoteRoom, user: Client) -> None:
    """Have a user be invited to a room of elsewhere."""
    event = room.add(BOB, (MEMBER, user.user_id), {"membership": "invite"})
    outside = server.services.history.outside_memberships
    assert await outside.put(room.rules, event, ServerName(SERVER), shown=SHOWN)


async def rooms(client: Client, since: str | None = None) -> Any:
    params = {} if since is None else {"since": since}
    return (await client.get("/sync", params=params)).get("rooms", {})


@pytest.mark.parametrize(("version", "versions"), [("1", [1]), ("11", [1, 2]), ("12", [2])])
async def test_an_invite_is_turned_down(
    server: Homeserver, alice: Client, remote: RemoteServer, version: str, versions: list[int]
) -> None:
    resident = Resident(remote, RemoteRoom(version), versions=versions)
    room = resident.room
    await invite(server, room, alice)
    since = (await alice.get("/sync"))["next_batch"]
    await alice.post(f"/rooms/{room.room_id}/leave", {"reason": "no"})
    (event,) = resident.taken
    assert event.content == {"membership": "leave", "reason": "no"}
    (told,) = (await rooms(alice, since))["leave"][room.room_id]["timeline"]["events"]
    assert told["event_id"] == event.event_id
    assert await rooms(alice) == {}
    await alice.post(f"/rooms/{room.room_id}/leave", status=404)
    assert len(resident.taken) == 1


@pytest.mark.parametrize("how", ["refused", "away", "nonsense"])
async def test_an_invite_is_got_rid_of_in_any_case(
    town: Town, server: Homeserver, alice: Client, how: str
) -> None:
    room = RemoteRoom()
    await invite(server, room, alice)
    since = (await alice.get("/sync"))["next_batch"]
    if how == "away":
        await alice.post(f"/rooms/{room.room_id}/leave")
    else:
        async with remote_server(town, SERVER, key=KEY, now_ms=server.clock.now_ms) as remote:
            answer: Any = refusal(403, "M_FORBIDDEN") if how == "refused" else {"event": {}}
            remote.answers["GET", f"{FEDERATION}/v1/make_leave/"] = answer
            await alice.post(f"/rooms/{room.room_id}/leave")
    (told,) = (await rooms(alice, since))["leave"][room.room_id]["timeline"]["events"]
    assert told["content"] == {"membership": "leave"}
    assert await rooms(alice) == {}
    await alice.post(f"/rooms/{room.room_id}/forget")


async def test_a_server_that_never_answers_keeps_nobody_waiting(
    server: Homeserver, alice: Client, remote: RemoteServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told all the same."""
    resident, over = Resident(remote, RemoteRoom()), asyncio.Event()
    leaves = server.services.rooms.memberships.remote._leaves  # type: ignore[union-attr]
    monkeypatch.setattr(leaves, "_patience_s", 0.01)

    async def slowly(asked: Asked) -> Any:
        await over.wait()
        return await resident.make(asked)

    remote.answers["GET", f"{FEDERATION}/v1/make_leave/"] = slowly
    await invite(server, resident.room, alice)
    await alice.post(f"/rooms/{resident.room.room_id}/leave")
    assert await rooms(alice) == {}
    over.set()
    async with asyncio.timeout(20):
        await resident.arrived.wait()
    assert [event.content for event in resident.taken] == [{"membership": "leave"}]


async def test_who_is_gone_turns_all_down(server: Homeserver, alice: Client, remote: RemoteServer) -> None:
    resident = Resident(remote, RemoteRoom())
    await invite(server, resident.room, alice)
    await server.services.accounts.accounts.deactivate(UserId(alice.user_id), erase=False)
    async with asyncio.timeout(20):
        await resident.arrived.wait()
    assert [event.content for event in resident.taken] == [{"membership": "leave"}]


async def test_a_knock(alice: Client, remote: RemoteServer) -> None:
    room = RemoteRoom("7")
    room.add(BOB, JOIN_RULES, {"join_rule": "knock"})
    room.add(BOB, NAME, {"name": "Elsewhere"})
    resident = Resident(remote, room)
    answer = await alice.post(f"/knock/{room.room_id}", {"reason": "me"}, params={"via": SERVER})
    assert answer == {"room_id": room.room_id}
    (event,) = resident.taken
    assert event.content == {"membership": "knock", "displayname": "alice", "reason": "me"}
    shown = (await rooms(alice))["knock"][room.room_id]["knock_state"]["events"]
    assert SHOWN[0] in shown
    assert shown[-1]["content"] == event.content
    assert not any("signatures" in item for item in shown)
    await alice.post(f"/knock/{room.room_id}", {}, params={"via": SERVER})
    await alice.post(f"/rooms/{room.room_id}/leave")
    assert [event.content["membership"] for event in resident.taken] == ["knock", "knock", "leave"]
    assert await rooms(alice) == {}


@pytest.mark.parametrize(("status", "errcode"), [(403, "M_FORBIDDEN"), (400, "M_INCOMPATIBLE_ROOM_VERSION")])
async def test_a_knock_that_is_not_heard(
    alice: Client, remote: RemoteServer, status: int, errcode: str
) -> None:
    remote.answers["GET", f"{FEDERATION}/v1/make_knock/"] = refusal(status, errcode)
    room = RemoteRoom("7")
    answer = await alice.post(f"/knock/{room.room_id}", {}, params={"via": SERVER}, status=status)
    assert answer["errcode"] == errcode
    await alice.post("/knock/!room:nowhere.example", status=404)
    assert await rooms(alice) == {}


@pytest.mark.parametrize(
    "told",
    [
        [{"type": "m.room.name"}, 1, None, {**SHOWN[0], "content": []}, {**SHOWN[0], "event_id": "$x"}],
        SHOWN * 5000,
    ],
)
async def test_what_a_knock_shows(alice: Client, remote: RemoteServer, told: list[Any]) -> None:
    room = RemoteRoom("7")
    resident = Resident(remote, room)
    resident.told = {"knock_room_state": told}
    await alice.post(f"/knock/{room.room_id}", {}, params={"via": SERVER})
    shown = (await rooms(alice))["knock"][room.room_id]["knock_state"]["events"]
    assert shown[0] == SHOWN[0]
    assert shown[-1]["type"] == "m.room.member"
    assert len(shown) <= 101
