"""The published room directory."""

from __future__ import annotations

from typing import Any

import pytest

from palpo.db.sqlite import SqliteTransaction
from palpo.services.rooms.room_directory import DirectoryQuery
from tests.support.homeserver import Client, Homeserver


async def names(client: Client, body: dict[str, Any] | None = None) -> list[str]:
    return [room.get("name") for room in (await client.post("/publicRooms", body))["chunk"]]


async def test_listing(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(
        visibility="public", name="Wombles", topic="Underground", room_alias_name="w"
    )
    await alice.create_room(name="Hidden")
    await bob.post(f"/join/{room_id}")
    everything = await server.client().get("/publicRooms")
    assert everything == {
        "chunk": [
            {
                "room_id": room_id,
                "name": "Wombles",
                "topic": "Underground",
                "canonical_alias": "#w:test.example",
                "num_joined_members": 2,
                "world_readable": False,
                "guest_can_join": False,
                "join_rule": "public",
            }
        ],
        "total_room_count_estimate": 1,
    }
    path = f"/directory/list/room/{room_id}"
    assert await server.client().get(path) == {"visibility": "public"}
    await bob.put(path, {"visibility": "private"}, status=403)
    await alice.put(path, {"visibility": "private"})
    assert await server.client().get(path) == {"visibility": "private"}
    assert await names(alice) == []
    await alice.put(path, {})
    assert await names(alice) == ["Wombles"]
    await alice.get("/directory/list/room/!nowhere:x", status=404)
    await alice.put("/directory/list/room/!nowhere:x", {}, status=404)


async def test_what_is_listed_follows_the_room(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(visibility="public", name="One")
    assert await names(alice) == ["One"]
    await alice.put(f"/rooms/{room_id}/state/m.room.name", {"name": "Two"})
    assert await names(alice) == ["Two"]
    await bob.post(f"/join/{room_id}")
    assert (await alice.get("/publicRooms"))["chunk"][0]["num_joined_members"] == 2


async def test_messages_do_not_have_the_list_read_again(
    server: Homeserver, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Background work may fall into a look at the list, so its cost is the least of several."""
    run = SqliteTransaction._run
    count = 0

    def counting(self: SqliteTransaction, *args: Any) -> Any:
        nonlocal count
        count += 1
        return run(self, *args)

    rooms = [await alice.create_room(visibility="public", name=str(number)) for number in range(3)]
    await alice.create_room()
    directory = server.services.rooms.room_directory
    await directory.page(DirectoryQuery())
    monkeypatch.setattr(SqliteTransaction, "_run", counting)
    costs = []
    for _ in range(5):
        await alice.send(rooms[0], "x")
        count = 0
        assert (await directory.page(DirectoryQuery())).total == 3
        costs.append(count)
    assert min(costs) == 0


async def test_search_and_types(alice: Client) -> None:
    await alice.create_room(visibility="public", name="Tea")
    await alice.create_room(visibility="public", topic="All about TEA and more")
    await alice.create_room(visibility="public", name="Space", creation_content={"type": "m.space"})
    assert len(await names(alice, {"filter": {"generic_search_term": "tea"}})) == 2
    assert len(await names(alice, {"filter": {"generic_search_term": ""}})) == 3
    assert await names(alice, {"filter": {"room_types": ["m.space"]}}) == ["Space"]
    assert len(await names(alice, {"filter": {"room_types": [None]}})) == 2
    assert await names(alice, {"filter": {"room_types": []}}) == []


async def test_paging(alice: Client) -> None:
    for number in range(5):
        await alice.create_room(visibility="public", name=str(number))
    everything = await names(alice)
    seen: list[str] = []
    since = ""
    while True:
        page = await alice.get(f"/publicRooms?limit=2&since={since}")
        seen += [room["name"] for room in page["chunk"]]
        assert page["total_room_count_estimate"] == 5
        if "next_batch" not in page:
            break
        since = page["next_batch"]
    assert seen == everything
    back = await alice.get(f"/publicRooms?limit=2&since={page['prev_batch']}")
    assert [room["name"] for room in back["chunk"]] == everything[2:4]


@pytest.mark.parametrize("query", ["since=x", "limit=-1", "limit=x", "since=o" + "9" * 40])
async def test_refused(alice: Client, query: str) -> None:
    assert (await alice.get(f"/publicRooms?{query}", status=400))["errcode"] == "M_INVALID_PARAM"


async def test_other_servers(alice: Client) -> None:
    await alice.get("/publicRooms?server=test.example")
    await alice.get("/publicRooms?server=elsewhere.example", status=404)
    await alice.post("/publicRooms?server=elsewhere.example", status=404)


async def test_networks_are_lists_of_their_own(server: Homeserver, alice: Client) -> None:
    room_id = await alice.create_room(name="Bridged")
    await server.services.rooms.room_directory.set_listed_for_network("irc", room_id, listed=True)
    assert await names(alice) == []
    assert await names(alice, {"third_party_instance_id": "irc"}) == ["Bridged"]
    assert await names(alice, {"include_all_networks": True}) == ["Bridged"]
    both = {"include_all_networks": True, "third_party_instance_id": "irc"}
    await alice.post("/publicRooms", both, status=400)
