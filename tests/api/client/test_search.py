"""Searching room events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.homeserver import PASSWORD, Client, Homeserver, homeserver

ENCRYPTION = {"algorithm": "m.megolm.v1.aes-sha2"}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Homeserver]:
    async with homeserver(tmp_path) as server:
        yield server


@pytest.fixture
async def alice(server: Homeserver) -> Client:
    return await server.register("alice")


async def search(client: Client, term: str, *, next_batch: str | None = None, **criteria: Any) -> Any:
    body = {"search_categories": {"room_events": {"search_term": term, **criteria}}}
    params = {} if next_batch is None else {"next_batch": next_batch}
    answer = await client.post("/search", body, params=params)
    return answer["search_categories"]["room_events"]


def bodies(found: Any) -> list[str]:
    return [result["result"]["content"]["body"] for result in found["results"]]


def ids(found: Any) -> list[str]:
    return [result["result"]["event_id"] for result in found["results"]]


async def test_what_has_just_been_sent_is_found(alice: Client) -> None:
    room_id = await alice.create_room()
    event_id = await alice.send(room_id, "Hello, world")
    await alice.send(room_id, "Goodbye")

    found = await search(alice, "HELLO world")

    assert found["count"] == 1
    assert found["highlights"] == ["hello", "world"]
    (result,) = found["results"]
    assert result["rank"] > 0
    assert result["result"]["event_id"] == event_id
    assert result["result"]["room_id"] == room_id
    assert "context" not in result
    assert "next_batch" not in found
    assert "groups" not in found


async def test_names_and_topics_are_found_by_their_keys(alice: Client) -> None:
    room_id = await alice.create_room(name="Tea", topic="Tea and cake")
    await alice.send(room_id, "tea?")

    async def types(**criteria: Any) -> list[str]:
        found = await search(alice, "tea", order_by="recent", **criteria)
        return [result["result"]["type"] for result in found["results"]]

    assert await types() == ["m.room.message", "m.room.topic", "m.room.name"]
    assert await types(keys=["content.name"]) == ["m.room.name"]
    assert await types(keys=["content.topic", "content.body"]) == ["m.room.message", "m.room.topic"]
    assert await types(filter={"types": ["m.room.n*"]}) == ["m.room.name"]
    assert await types(filter={"not_types": ["m.room.*"]}) == []
    assert await types(keys=[]) == []


async def test_rank_puts_the_best_first(alice: Client) -> None:
    room_id = await alice.create_room()
    for body in ["tea tea tea", "tea", "a cup of tea, and many other things that are not it"]:
        await alice.send(room_id, body)

    ranked = await search(alice, "tea", order_by="rank")
    recent = await search(alice, "tea", order_by="recent")

    assert bodies(ranked) == bodies(recent)[::-1]
    ranks = [result["rank"] for result in ranked["results"]]
    assert ranks == sorted(ranks, reverse=True)
    assert bodies(await search(alice, "tea")) == bodies(ranked)


@pytest.mark.parametrize("order", ["recent", "rank"])
async def test_pages(alice: Client, order: str) -> None:
    room_id = await alice.create_room()
    sent = [await alice.send(room_id, "tea " + "and " * (number % 3)) for number in range(7)]

    pages = []
    found = await search(alice, "tea", order_by=order, filter={"limit": 3})
    while found["results"]:
        assert found["count"] == 7
        pages.append(ids(found))
        await alice.send(room_id, "tea, later")
        token = found.get("next_batch")
        if token is None:
            break
        found = await search(alice, "tea", order_by=order, filter={"limit": 3}, next_batch=token)

    assert [len(page) for page in pages] == [3, 3, 1]
    everything = [event_id for page in pages for event_id in page]
    assert sorted(everything) == sorted(sent)
    if order == "recent":
        assert everything == sent[::-1]


async def test_groups(alice: Client) -> None:
    rooms = [await alice.create_room(), await alice.create_room()]
    sent = {room_id: [await alice.send(room_id, f"tea {n}") for n in range(3)] for room_id in rooms}
    groupings = {"group_by": [{"key": "room_id"}, {"key": "sender"}]}

    found = await search(alice, "tea", order_by="recent", groupings=groupings, filter={"limit": 4})

    by_room = found["groups"]["room_id"]
    assert by_room[rooms[1]]["results"] == sent[rooms[1]][::-1]
    assert by_room[rooms[0]]["results"] == [sent[rooms[0]][2]]
    assert (by_room[rooms[1]]["order"], by_room[rooms[0]]["order"]) == (0, 1)
    assert "next_batch" not in by_room[rooms[1]]
    assert found["groups"]["sender"][alice.user_id]["results"] == ids(found)

    more = await search(
        alice,
        "tea",
        order_by="recent",
        groupings=groupings,
        filter={"limit": 4},
        next_batch=by_room[rooms[0]]["next_batch"],
    )
    assert ids(more) == sent[rooms[0]][1::-1]
    assert list(more["groups"]["room_id"]) == [rooms[0]]
    assert "next_batch" not in more["groups"]["room_id"][rooms[0]]

    of_sender = found["groups"]["sender"][alice.user_id]["next_batch"]
    more = await search(alice, "tea", order_by="recent", groupings=groupings, next_batch=of_sender)
    assert ids(more) == sent[rooms[0]][1::-1]


async def test_context(server: Homeserver, alice: Client) -> None:
    room_id = await alice.create_room()
    await alice.put(f"/profile/{alice.user_id}/displayname", {"displayname": "Alice"})
    for number in range(1, 8):
        await alice.send(room_id, f"Message number {number}")

    context = {"before_limit": 2, "after_limit": 1, "include_profile": True}
    found = await search(alice, "message 4", event_context=context)

    (result,) = found["results"]
    around = result["context"]
    assert [event["content"]["body"][-1] for event in around["events_before"]] == ["3", "2"]
    assert [event["content"]["body"][-1] for event in around["events_after"]] == ["5"]
    assert around["profile_info"] == {alice.user_id: {"displayname": "Alice"}}
    page = await alice.get(
        f"/rooms/{room_id}/messages", params={"dir": "b", "from": around["start"], "limit": 1}
    )
    assert page["chunk"][0]["content"]["body"] == "Message number 1"
    page = await alice.get(
        f"/rooms/{room_id}/messages", params={"dir": "f", "from": around["end"], "limit": 1}
    )
    assert page["chunk"][0]["content"]["body"] == "Message number 6"

    (result,) = (await search(alice, "message 4", event_context={}))["results"]
    assert len(result["context"]["events_before"]) == 5
    assert "profile_info" not in result["context"]


async def test_state(alice: Client) -> None:
    room_id = await alice.create_room(name="Lobby")
    await alice.send(room_id, "tea")

    found = await search(alice, "tea", include_state=True)

    assert list(found["state"]) == [room_id]
    names = [event["content"] for event in found["state"][room_id] if event["type"] == "m.room.name"]
    assert names == [{"name": "Lobby"}]
    assert "state" not in await search(alice, "tea")


async def test_only_what_the_user_may_see(server: Homeserver, alice: Client) -> None:
    bob = await server.register("bob")
    room_id = await alice.create_room(
        preset="public_chat",
        initial_state=[
            {
                "type": "m.room.history_visibility",
                "content": {"history_visibility": "joined"},
                "state_key": "",
            }
        ],
    )
    await alice.send(room_id, "tea before")
    assert (await search(bob, "tea"))["count"] == 0
    await bob.post(f"/join/{room_id}")
    await alice.send(room_id, "tea between")
    await bob.post(f"/rooms/{room_id}/leave")
    await alice.send(room_id, "tea after")

    found = await search(bob, "tea")

    assert bodies(found) == ["tea between"]
    assert found["count"] == 1
    await bob.post(f"/rooms/{room_id}/forget")
    assert (await search(bob, "tea"))["results"] == []


async def test_erased_messages_are_not_found_by_who_was_not_there(server: Homeserver, alice: Client) -> None:
    bob, carol = await server.register("bob"), await server.register("carol")
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    await alice.send(room_id, "tea")
    await carol.post(f"/join/{room_id}")
    assert (await search(carol, "tea"))["count"] == 1
    identifier = {"type": "m.id.user", "user": alice.user_id}
    auth = {"type": "m.login.password", "identifier": identifier, "password": PASSWORD}
    await alice.post("/account/deactivate", {"auth": auth, "erase": True})

    assert (await search(carol, "tea"))["count"] == 0
    assert (await search(bob, "tea"))["count"] == 1


async def test_filters(server: Homeserver, alice: Client) -> None:
    bob = await server.register("bob")
    one, other = await alice.create_room(preset="public_chat"), await alice.create_room()
    await bob.post(f"/join/{one}")
    await alice.send(one, "tea one")
    await bob.send(one, "tea bob")
    await alice.send(other, "tea other")

    async def found(**filter_: Any) -> list[str]:
        return sorted(bodies(await search(alice, "tea", filter=filter_)))

    assert await found(rooms=[other]) == ["tea other"]
    assert await found(not_rooms=[other]) == ["tea bob", "tea one"]
    assert await found(senders=[bob.user_id]) == ["tea bob"]
    assert await found(not_senders=[bob.user_id]) == ["tea one", "tea other"]
    assert await found(contains_url=True) == []
    assert await found(rooms=["!elsewhere:test.example"]) == []
    assert len(bodies(await search(alice, "tea", filter=None))) == 3
    ignored = {"ignored_users": {bob.user_id: {}}}
    await alice.put(f"/user/{alice.user_id}/account_data/m.ignored_user_list", ignored)
    assert await found() == ["tea one", "tea other"]


async def test_redacted_events_are_not_found(server: Homeserver, alice: Client) -> None:
    room_id = await alice.create_room()
    event_id = await alice.send(room_id, "tea, to be redacted")
    kept = await alice.send(room_id, "tea")
    assert (await search(alice, "tea"))["count"] == 2
    await alice.put(f"/rooms/{room_id}/redact/{event_id}/{alice.transaction_id()}")

    found = await search(alice, "tea")

    assert ids(found) == [kept]
    assert found["count"] == 1


async def test_encrypted_rooms_are_not_searched(alice: Client) -> None:
    room_id = await alice.create_room()
    await alice.send(room_id, "tea")
    assert (await search(alice, "tea"))["count"] == 1
    await alice.put(f"/rooms/{room_id}/state/m.room.encryption", ENCRYPTION)

    assert (await search(alice, "tea"))["count"] == 0


@pytest.mark.parametrize(
    ("criteria", "errcode"),
    [
        ({"search_term": "x", "order_by": "best"}, "M_BAD_JSON"),
        ({"search_term": "x", "keys": ["content.url"]}, "M_BAD_JSON"),
        ({"search_term": "x", "filter": {"limit": -1}}, "M_INVALID_PARAM"),
        ({"search_term": "x", "filter": "none"}, "M_BAD_JSON"),
        ({"search_term": "x", "filter": {"rooms": ["\0"]}}, "M_BAD_JSON"),
        ({"search_term": "x" * 5000}, "M_INVALID_PARAM"),
        ({"search_term": "\0"}, "M_INVALID_PARAM"),
        ({"search_term": "x", "event_context": {"before_limit": -1}}, "M_INVALID_PARAM"),
        ({"search_term": "x", "groupings": {"group_by": [{"key": "day"}]}}, "M_BAD_JSON"),
        ({}, "M_MISSING_PARAM"),
    ],
)
async def test_bad_criteria(alice: Client, criteria: dict[str, Any], errcode: str) -> None:
    body = {"search_categories": {"room_events": criteria}}

    answer = await alice.post("/search", body, status=400)

    assert answer["errcode"] == errcode


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "é",
        "e30",
        "bnVsbA",
        # {"count":1,"position":-1,"upto":1}
        "eyJjb3VudCI6MSwicG9zaXRpb24iOi0xLCJ1cHRvIjoxfQ",
        # {"count":1,"position":1,"upto":1,"group":["day","x"]}
        "eyJjb3VudCI6MSwicG9zaXRpb24iOjEsInVwdG8iOjEsImdyb3VwIjpbImRheSIsIngiXX0",
    ],
)
async def test_bad_tokens(alice: Client, token: str) -> None:
    room_id = await alice.create_room()
    await alice.send(room_id, "tea")
    body = {"search_categories": {"room_events": {"search_term": "tea"}}}

    answer = await alice.post("/search", body, params={"next_batch": token}, status=400)

    assert answer["errcode"] == "M_INVALID_PARAM"


@pytest.mark.parametrize(
    "term", ["", "...", '"', "a OR b", "NEAR(a b)", "q0a*", "-x +y", "(", "'; --", "%s", ":"]
)
async def test_no_term_means_more_than_its_words(alice: Client, term: str) -> None:
    room_id = await alice.create_room()
    await alice.send(room_id, "x y")

    found = await search(alice, term)

    assert found["count"] == (1 if term == "-x +y" else 0)


async def test_a_page_has_at_least_one_result(alice: Client) -> None:
    room_id = await alice.create_room()
    await alice.send(room_id, "tea")

    assert bodies(await search(alice, "tea", filter={"limit": 0})) == ["tea"]


async def test_no_category(alice: Client) -> None:
    assert await alice.post("/search", {"search_categories": {}}) == {"search_categories": {}}


async def test_history_from_before_the_index_is_found(tmp_path: Path) -> None:
    async with homeserver(tmp_path) as server:
        alice = await server.register("alice")
        room_id = await alice.create_room()
        for number in range(450):
            await alice.send(room_id, f"tea {number}")
    async with homeserver(tmp_path) as server:
        alice = await server.login("alice")
        found = await search(alice, "tea", order_by="recent", filter={"limit": 50})
        assert found["count"] == 450
        assert bodies(found)[0] == "tea 449"


async def test_what_is_looked_through_in_one_request_is_bounded(
    server: Homeserver, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.services.reading.search, "_max_read", 100)
    room_id = await alice.create_room()
    sent = [await alice.send(room_id, f"needle {number} " + "x" * 60) for number in range(7)]
    found, pages, token = [], 0, None
    while True:
        page = await search(alice, "needle", order_by="recent", next_batch=token)
        found += ids(page)
        pages += 1
        token = page.get("next_batch")
        if token is None:
            break
    assert found == sent[::-1]
    assert pages >= 4
    assert ids(await search(alice, "needle", order_by="rank")) == sent[:-3:-1]
