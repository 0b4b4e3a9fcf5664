"""Who has most of what, and what runs here, for administrators."""

from __future__ import annotations

from palpo import __version__
from tests.api.admin.test_media import upload
from tests.support.homeserver import Client, Homeserver

USAGE = "//_synapse/admin/v1/statistics/users/media"


async def test_media_of_users(server: Homeserver, admin: Client, alice: Client) -> None:
    bob = await server.register("bob")
    await bob.put(f"/profile/{bob.user_id}/displayname", {"displayname": "Zed"})
    for client, content in ((alice, b"12345"), (bob, b"1"), (bob, b"12")):
        await upload(client, content)
    of_alice = {"user_id": alice.user_id, "displayname": "alice", "media_count": 1, "media_length": 5}
    of_bob = {"user_id": bob.user_id, "displayname": "Zed", "media_count": 2, "media_length": 3}
    of_alice["displayname"] = (await alice.get(f"/profile/{alice.user_id}")).get("displayname")
    assert await admin.request("GET", USAGE) == {"users": [of_alice, of_bob], "total": 2}

    async def users(query: str) -> list[str]:
        return [item["user_id"] for item in (await admin.request("GET", f"{USAGE}?{query}"))["users"]]

    assert await users("order_by=media_length") == [bob.user_id, alice.user_id]
    assert await users("order_by=media_count&dir=b") == [bob.user_id, alice.user_id]
    assert await users("search_term=zE") == [bob.user_id]
    assert await users("search_term=ALI") == [alice.user_id]
    assert await users("search_term=example") == []
    assert await users(f"until_ts={server.clock.now_ms() - 1}") == []
    assert await users(f"from_ts={server.clock.now_ms()}") == [alice.user_id, bob.user_id]
    page = await admin.request("GET", f"{USAGE}?limit=1")
    assert (page["next_token"], page["total"]) == (1, 2)
    for query in ("order_by=size", "search_term=", "from_ts=5&until_ts=5", "until_ts=0"):
        await admin.request("GET", f"{USAGE}?{query}", status=400)


async def test_the_largest_rooms(admin: Client, alice: Client) -> None:
    small, large = await alice.create_room(), await alice.create_room()
    for number in range(5):
        await alice.send(large, f"{number}")
    found = (await admin.request("GET", "//_synapse/admin/v1/statistics/database/rooms"))["rooms"]
    assert [item["room_id"] for item in found] == [large, small]
    assert found[0]["estimated_size"] > found[1]["estimated_size"] > 1000


async def test_the_version(server: Homeserver) -> None:
    answer = await server.client().request("GET", "//_synapse/admin/v1/server_version")
    assert answer == {"server_version": f"Palpo {__version__}"}
