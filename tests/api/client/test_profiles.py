"""Profiles."""

from __future__ import annotations

import asyncio

import pytest

from palpo.storage import profiles as storage
from tests.support.homeserver import Client, Homeserver

AVATAR = "mxc://test.example/abc"


def path(client: Client, key: str = "") -> str:
    return f"/profile/{client.user_id}" + (f"/{key}" if key else "")


async def test_set_get_and_delete(server: Homeserver, alice: Client) -> None:
    anyone = server.client()
    assert await anyone.get(path(alice)) == {"displayname": "alice"}
    await alice.put(path(alice, "displayname"), {"displayname": "Alice"})
    await alice.put(path(alice, "avatar_url"), {"avatar_url": AVATAR})
    await alice.put(path(alice, "m.tz"), {"m.tz": "Europe/London"})
    await alice.put(path(alice, "org.example.pets"), {"org.example.pets": [{"name": "Rex"}, None]})
    assert await anyone.get(path(alice)) == {
        "displayname": "Alice",
        "avatar_url": AVATAR,
        "m.tz": "Europe/London",
        "org.example.pets": [{"name": "Rex"}, None],
    }
    assert await anyone.get(path(alice, "avatar_url")) == {"avatar_url": AVATAR}
    await alice.delete(path(alice, "avatar_url"))
    await alice.delete(path(alice, "avatar_url"))
    await anyone.get(path(alice, "avatar_url"), status=404)
    await alice.put(path(alice, "displayname"), {"displayname": ""})
    assert set(await anyone.get(path(alice))) == {"m.tz", "org.example.pets"}


@pytest.mark.parametrize(
    ("key", "body", "errcode"),
    [
        ("displayname", {}, "M_MISSING_PARAM"),
        ("displayname", {"displayname": 5}, "M_INVALID_PARAM"),
        ("displayname", {"displayname": "x" * 2000}, "M_INVALID_PARAM"),
        ("avatar_url", {"avatar_url": ["mxc://test.example/abc"]}, "M_INVALID_PARAM"),
        ("Bad", {"Bad": 1}, "M_INVALID_PARAM"),
        ("org.example." + "x" * 255, {}, "M_KEY_TOO_LARGE"),
        ("org.example.big", {"org.example.big": "x" * 65536}, "M_PROFILE_TOO_LARGE"),
    ],
)
async def test_refused(alice: Client, key: str, body: dict[str, object], errcode: str) -> None:
    answer = await alice.put(path(alice, key), body, status=400)
    assert answer["errcode"] == errcode


async def test_strangers_and_nobody(server: Homeserver, alice: Client, bob: Client) -> None:
    answer = await bob.put(path(alice, "displayname"), {"displayname": "Mallory"}, status=403)
    assert answer["errcode"] == "M_FORBIDDEN"
    for user_id in ("@nobody:test.example", "@alice:elsewhere.example"):
        assert (await alice.get(f"/profile/{user_id}", status=404))["errcode"] == "M_NOT_FOUND"
    await alice.get("/profile/alice", status=400)


async def test_guests_change_only_their_name(server: Homeserver) -> None:
    answer = await server.client().post("/register?kind=guest")
    guest = Client(server.http, answer["user_id"], answer["access_token"], answer["device_id"])
    await guest.put(path(guest, "displayname"), {"displayname": "Guest"})
    await guest.put(path(guest, "avatar_url"), {"avatar_url": AVATAR}, status=403)


async def test_rooms_are_told(alice: Client) -> None:
    room_id = await alice.create_room()
    await alice.put(path(alice, "displayname"), {"displayname": "Alice"})
    member = await alice.get(f"/rooms/{room_id}/state/m.room.member/{alice.user_id}")
    assert member == {"membership": "join", "displayname": "Alice"}
    await alice.delete(path(alice, "displayname"))
    member = await alice.get(f"/rooms/{room_id}/state/m.room.member/{alice.user_id}")
    assert member == {"membership": "join"}


@pytest.mark.parametrize(
    ("own", "changed", "value"),
    [("displayname", "avatar_url", AVATAR), ("avatar_url", "displayname", "Alice")],
)
async def test_what_is_chosen_for_a_room_stays(alice: Client, own: str, changed: str, value: str) -> None:
    room_id, other = await alice.create_room(), await alice.create_room()
    member = f"state/m.room.member/{alice.user_id}"
    in_here = "mxc://test.example/here" if own == "avatar_url" else "In here"
    await alice.put(f"/rooms/{room_id}/{member}", {"membership": "join", own: in_here, "org.example.more": 1})
    await alice.put(path(alice, changed), {changed: value})
    shown = await alice.get(f"/rooms/{room_id}/{member}")
    assert shown == {"membership": "join", own: in_here, changed: value, "org.example.more": 1}
    assert (await alice.get(f"/rooms/{other}/{member}"))[changed] == value
    await alice.delete(path(alice, changed))
    assert await alice.get(f"/rooms/{room_id}/{member}") == {
        "membership": "join",
        own: in_here,
        "org.example.more": 1,
    }


async def test_two_fields_at_once_are_both_kept(server: Homeserver, alice: Client) -> None:
    keys = [f"org.example.k{number}" for number in range(20)]
    await asyncio.gather(*(alice.put(path(alice, key), {key: 1}) for key in keys))
    assert set(await alice.get(path(alice))) == {"displayname", *keys}


async def test_a_repeated_request_tells_what_the_first_did_not(server: Homeserver, alice: Client) -> None:
    room_id = await alice.create_room()
    # As if the server had been killed between the profile and the rooms.
    body = b'{"displayname":"New name"}'
    await server.services.server.db.write(lambda tx: storage.put(tx, alice.user_id, body, 1))
    await alice.put(f"/profile/{alice.user_id}/displayname", {"displayname": "New name"})
    member = await alice.get(f"/rooms/{room_id}/state/m.room.member/{alice.user_id}")
    assert member["displayname"] == "New name"
