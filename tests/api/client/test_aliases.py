"""Room aliases."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.support.homeserver import Client, Homeserver

ALIAS = "#wombles:test.example"


def path(alias: str) -> str:
    return f"/directory/room/{quote(alias, safe='')}"


async def test_set_resolve_list_delete(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room()
    assert await alice.get(f"/rooms/{room_id}/aliases") == {"aliases": []}
    await alice.put(path(ALIAS), {"room_id": room_id})
    found = await server.client().get(path(ALIAS))
    assert found == {"room_id": room_id, "servers": ["test.example"]}
    assert await alice.get(f"/rooms/{room_id}/aliases") == {"aliases": [ALIAS]}
    taken = await alice.put(path(ALIAS), {"room_id": room_id}, status=409)
    assert taken["errcode"] == "M_UNKNOWN"
    await bob.get(f"/rooms/{room_id}/aliases", status=403)
    assert (await bob.delete(path(ALIAS), status=403))["errcode"] == "M_FORBIDDEN"
    await alice.delete(path(ALIAS))
    assert (await alice.get(path(ALIAS), status=404))["errcode"] == "M_NOT_FOUND"
    assert (await alice.delete(path(ALIAS), status=404))["errcode"] == "M_NOT_FOUND"


@pytest.mark.parametrize(
    "alias", ["#x:elsewhere.example", "x:test.example", "#:test.example", "#" + "x" * 300 + ":y", "#\0:y"]
)
async def test_what_is_no_alias_here(alice: Client, alias: str) -> None:
    room_id = await alice.create_room()
    answer = await alice.put(path(alias), {"room_id": room_id}, status=400)
    assert answer["errcode"] == "M_INVALID_PARAM"


async def test_unicode(alice: Client) -> None:
    room_id = await alice.create_room()
    alias = "#\u8001\u864e\U0001f928/:test.example"
    await alice.put(path(alias), {"room_id": room_id})
    assert (await alice.get(path(alias)))["room_id"] == room_id


async def test_administrators_see_the_aliases_of_every_room(
    server: Homeserver, alice: Client, bob: Client
) -> None:
    room_id = await alice.create_room(room_alias_name="hens")
    await bob.get(f"/rooms/{room_id}/aliases", status=403)
    await server.services.accounts.accounts.set_admin(bob.user_id, True)
    assert await bob.get(f"/rooms/{room_id}/aliases") == {"aliases": ["#hens:test.example"]}


async def test_only_members_name_a_room(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.put(path(ALIAS), {"room_id": room_id}, status=403)
    await bob.post(f"/join/{room_id}")
    await bob.put(path(ALIAS), {"room_id": room_id})
    await bob.put(path(ALIAS), {}, status=400)
    await alice.put(f"/rooms/{room_id}/state/m.room.canonical_alias", {"alias": ALIAS, "x": 1})
    await bob.delete(path(ALIAS))
    kept: dict[str, Any] = await alice.get(f"/rooms/{room_id}/state/m.room.canonical_alias")
    assert kept == {"alias": ALIAS, "x": 1}


async def test_deleting_takes_it_out_of_the_canonical_alias(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    other = "#other:test.example"
    for alias in (ALIAS, other):
        await alice.put(path(alias), {"room_id": room_id})
    state = f"/rooms/{room_id}/state/m.room.canonical_alias"
    await alice.put(state, {"alias": ALIAS, "alt_aliases": [other, ALIAS]})
    await alice.delete(path(other))
    assert await alice.get(state) == {"alias": ALIAS, "alt_aliases": [ALIAS]}
    # Aliases that are gone may stay where they are listed already.
    await alice.put(state, {"alias": ALIAS})
    await alice.delete(path(ALIAS))
    assert await alice.get(state) == {}


async def test_moderators_delete_what_others_made(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    await bob.put(path(ALIAS), {"room_id": room_id})
    await alice.delete(path(ALIAS))


async def test_who_may_not_set_the_canonical_alias_has_nothing_looked_up(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    state = f"/rooms/{room_id}/state/m.room.canonical_alias"
    unknown = {"alias": "#nothing:test.example"}
    assert (await bob.put(state, unknown, status=403))["errcode"] == "M_FORBIDDEN"
    await bob.post(f"/join/{room_id}")
    assert (await bob.put(state, unknown, status=403))["errcode"] == "M_FORBIDDEN"
