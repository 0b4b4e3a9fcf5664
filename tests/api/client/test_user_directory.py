"""The user directory."""

from __future__ import annotations

from typing import Any

from tests.support.homeserver import Client, Homeserver


async def search(client: Client, term: str, **more: Any) -> list[str]:
    answer = await client.post("/user_directory/search", {"search_term": term, **more})
    return [user["user_id"] for user in answer["results"]]


async def test_who_shares_a_room_or_is_in_a_public_one(
    server: Homeserver, alice: Client, bob: Client
) -> None:
    eve = await server.register("eve")
    await alice.put(f"/profile/{alice.user_id}/displayname", {"displayname": "Alice Cooper"})
    assert await search(eve, "Alice Cooper") == []
    private = await bob.create_room(invite=[alice.user_id])
    await alice.post(f"/rooms/{private}/join")
    member = {"membership": "join", "displayname": "Freddy"}
    await alice.put(f"/rooms/{private}/state/m.room.member/{alice.user_id}", member)
    assert await search(bob, "alice cooper") == [alice.user_id]
    assert await search(eve, "alice") == []
    await alice.create_room(preset="public_chat")
    for term in ("Alice Cooper", "coop", "ALICE", "@alice", "@alice:test.example", "aLi"):
        assert await search(eve, term) == [alice.user_id], term
    for term in ("Freddy", "lice", "@alice:other", "alice bowie", "", "@", "%", "\0"):
        assert await search(eve, term) == [], term
    assert await search(alice, "alice") == [alice.user_id]
    assert await search(bob, "bob") == []


async def test_limit_and_order(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    users = [await server.register(f"user{number}") for number in range(4)]
    for user in users:
        await user.post(f"/rooms/{room_id}/join")
    answer = await alice.post("/user_directory/search", {"search_term": "user", "limit": 3})
    assert answer["limited"] is True
    assert [item["user_id"] for item in answer["results"]] == [user.user_id for user in users[:3]]
    await users[3].put(f"/profile/{users[3].user_id}/displayname", {"displayname": "User"})
    answer = await alice.post("/user_directory/search", {"search_term": "user"})
    assert answer["limited"] is False
    assert answer["results"][0] == {"user_id": users[3].user_id, "display_name": "User"}
    await alice.post("/user_directory/search", {}, status=400)
