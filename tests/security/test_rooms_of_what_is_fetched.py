"""``room_id`` is compared on everything that is fetched: events of one room say nothing of another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from palpo.core.events import SignedEvent
from palpo.core.state_keys import MEMBER, NAME
from tests.api.federation.test_backfill import Elsewhere
from tests.support.federation import Asked
from tests.support.homeserver import Client, Homeserver
from tests.support.remote_rooms import RemoteRoom
from tests.support.remote_server import RemoteServer
from tests.support.remote_users import BOB, CAROL, SERVER, Remote
from tests.support.resident import Resident
from tests.support.transactions import Sender, sender_in

V1 = "/_matrix/federation/v1"
STOLEN = f"$stolen:{SERVER}"
KINDS = ("get_missing_events", "backfill", "event", "event_auth", "state_ids", "state", "nothing else")


def says(remote: RemoteServer, event: SignedEvent, but: str = "") -> None:
    """Have a server answer one event to whatever it is asked for ``but`` one thing."""
    lists = ("pdus", "events", "state", "auth_chain")
    told: dict[str, Any] = {name: [event.pdu] for name in lists}
    told |= {"pdu_ids": [event.event_id], "auth_chain_ids": [event.event_id]}

    async def answer(asked: Asked) -> Any:
        return told

    for noun in set(KINDS) - {but}:
        for method in ("GET", "POST"):
            remote.answers[method, f"{V1}/{noun}/"] = answer


async def room_of(sender: Sender, version: str) -> Remote:
    room_id = await sender.alice.create_room(preset="public_chat", room_version=version)
    room = Remote(sender.ours, room_id)
    await sender.send(await room.event(BOB, (MEMBER, BOB), {"membership": "join"}, event_id=_chosen(version)))
    return room


def _chosen(version: str, name: str = f"$join:{SERVER}") -> str | None:
    return name if version == "1" else None


@pytest.mark.parametrize("but", KINDS)
@pytest.mark.parametrize("version", ["1", "11"])
async def test_room_id_is_checked_on_everything_fetched_for_an_event(
    tmp_path: Path, version: str, but: str
) -> None:
    """Before it there is one of another room; in old versions it has the ID that was asked for."""
    async with sender_in(tmp_path) as sender:
        room = await room_of(sender, version)
        other = RemoteRoom(version)
        content = {"membership": "join"}
        foreign = other.event(CAROL, (MEMBER, CAROL), content, event_id=_chosen(version, STOLEN))
        says(sender.server, foreign, but)
        before = await room.head()
        last = await room.event(
            BOB,
            "m.room.message",
            {"body": "last"},
            after=(foreign.event_id,),
            state={(MEMBER, CAROL): foreign.event_id},
            event_id=_chosen(version, f"$last:{SERVER}"),
        )
        await sender.send(last)
        await sender.settled()
        assert await room.history.events.find(foreign.event_id) is None
        assert (await room.head()).state_root == before.state_root
        assert await room.history.events.find(last.event_id) is None


@pytest.mark.parametrize("version", ["1", "11"])
async def test_room_id_is_checked_on_all_of_a_room_that_is_joined(
    alice: Client, remote: RemoteServer, version: str
) -> None:
    room, other = RemoteRoom(version), RemoteRoom(version, name="other")
    foreign = [
        other.event(BOB, NAME, {"name": "Other"}, event_id=_chosen(version, STOLEN)),
        other.event(CAROL, (MEMBER, CAROL), {"membership": "join"}, event_id=_chosen(version, f"{STOLEN}x")),
    ]
    resident = Resident(remote, room)
    state = [event.pdu for event in [*room.state.values(), *foreign]]
    resident.told = {"state": state, "auth_chain": state}
    await alice.post(f"/join/{room.room_id}", params={"via": SERVER})
    synced = (await alice.get("/sync"))["rooms"]["join"]
    assert synced.keys() == {room.room_id}
    types = {(item["type"], item["state_key"]) for item in synced[room.room_id]["state"]["events"]}
    assert NAME not in types
    assert (MEMBER, CAROL) not in types


async def test_room_id_is_checked_on_the_past(
    server: Homeserver, alice: Client, remote: RemoteServer
) -> None:
    elsewhere = Elsewhere(server, remote, alice)
    for number in range(3):
        elsewhere.say(f"{number}")
    other = RemoteRoom(name="other")
    foreign = other.event(BOB, "m.room.message", {"msgtype": "m.text", "body": "foreign"})
    right = elsewhere.backfill

    async def backfill(asked: Asked) -> Any:
        told = await right(asked)
        return {"pdus": [foreign.pdu, *told["pdus"]]}

    remote.answers["GET", f"{V1}/backfill/"] = backfill
    await elsewhere.join()
    assert await elsewhere.bodies(limit=100) == ["2", "1", "0"]
    assert await server.services.history.events.find(foreign.event_id) is None


async def test_room_id_is_checked_on_invites_and_what_they_show(
    server: Homeserver, remote: RemoteServer, alice: Client
) -> None:
    room, other = RemoteRoom(), RemoteRoom(name="other")
    name = other.add(BOB, NAME, {"name": "Other"})
    invite = room.event(BOB, (MEMBER, alice.user_id), {"membership": "invite"})
    shown = [*(event.pdu for event in room.state.values()), name.pdu]
    body = {"room_version": "11", "event": invite.pdu, "invite_room_state": shown}
    path = f"/_matrix/federation/v2/invite/{other.room_id}/{invite.event_id}"
    await remote.ask(server, "PUT", path, body, status=400)
    assert "rooms" not in await alice.get("/sync")
    path = f"/_matrix/federation/v2/invite/{room.room_id}/{invite.event_id}"
    await remote.ask(server, "PUT", path, body, status=None)
    invited = (await alice.get("/sync")).get("rooms", {}).get("invite", {})
    assert "Other" not in str(invited)
