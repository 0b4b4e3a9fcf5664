"""Room summaries and space hierarchies."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.homeserver import Client, Homeserver


async def space(client: Client, name: str, **more: Any) -> str:
    return await client.create_room(
        preset=more.pop("preset", "public_chat"), name=name, creation_content={"type": "m.space"}, **more
    )


async def add(client: Client, parent: str, child: str, **content: Any) -> None:
    await client.put(f"/rooms/{parent}/state/m.space.child/{child}", {"via": ["test.example"], **content})


async def hierarchy(client: Client, room_id: str, query: str = "", status: int = 200) -> Any:
    return await client.request("GET", f"/client/v1/rooms/{room_id}/hierarchy{query}", status=status)


def names(page: Any) -> list[str]:
    return [room.get("name") for room in page["rooms"]]


@pytest.fixture
async def tree(server: Homeserver, alice: Client) -> dict[str, str]:
    """root has r1, sub and r2; sub has r3 and, in a circle, root."""
    rooms = {"root": await space(alice, "root"), "sub": await space(alice, "sub")}
    for name in ("r1", "r2", "r3"):
        rooms[name] = await alice.create_room(preset="public_chat", name=name)
    for parent, child, content in (
        ("root", "r1", {"suggested": True}),
        ("root", "sub", {}),
        ("root", "r2", {"suggested": True}),
        ("sub", "r3", {}),
        ("sub", "root", {}),
        ("r2", "r3", {}),
    ):
        server.clock.advance(1)
        await add(alice, rooms[parent], rooms[child], **content)
    return rooms


async def test_the_whole_tree(alice: Client, tree: dict[str, str]) -> None:
    page = await hierarchy(alice, tree["root"])
    assert names(page) == ["root", "r1", "sub", "r3", "r2"]
    assert "next_batch" not in page
    root = page["rooms"][0]
    assert root["room_type"] == "m.space"
    assert [child["state_key"] for child in root["children_state"]] == [
        tree["r1"],
        tree["sub"],
        tree["r2"],
    ]
    assert root["children_state"][0]["content"]["via"] == ["test.example"]
    assert "origin_server_ts" in root["children_state"][0]
    assert page["rooms"][4]["children_state"] == []


async def test_narrowed(alice: Client, tree: dict[str, str]) -> None:
    root = tree["root"]
    assert names(await hierarchy(alice, root, "?max_depth=1")) == ["root", "r1", "sub", "r2"]
    assert names(await hierarchy(alice, root, "?max_depth=0")) == ["root"]
    assert names(await hierarchy(alice, root, "?suggested_only=true")) == ["root", "r1", "r2"]
    await add(alice, root, tree["r2"], order="a")
    assert names(await hierarchy(alice, root, "?max_depth=1")) == ["root", "r2", "r1", "sub"]
    await alice.put(f"/rooms/{root}/state/m.space.child/{tree['sub']}", {})
    assert names(await hierarchy(alice, root)) == ["root", "r2", "r1"]


async def test_paging(alice: Client, tree: dict[str, str]) -> None:
    first = await hierarchy(alice, tree["root"], "?limit=2&max_depth=3")
    second = await hierarchy(alice, tree["root"], f"?limit=3&from={first['next_batch']}&max_depth=3")
    assert names(first) + names(second) == ["root", "r1", "sub", "r3", "r2"]
    assert "next_batch" not in second
    for query in ("&max_depth=2", "&suggested_only=true"):
        refused = await hierarchy(alice, tree["root"], f"?from={first['next_batch']}{query}", 400)
        assert refused["errcode"] == "M_INVALID_PARAM"


async def read_on(client: Client, root: str, page: Any, query: str = "?limit=1") -> list[str]:
    """The names on the pages after ``page``."""
    found = []
    while "next_batch" in page:
        page = await hierarchy(client, root, f"{query}&from={page['next_batch']}")
        found += names(page)
    return found


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
async def test_paging_while_children_come_and_go(alice: Client, tree: dict[str, str], limit: int) -> None:
    """One that comes first goes, one comes before all others, and the last moves to the front."""
    root = tree["root"]
    page = await hierarchy(alice, root, f"?limit={limit}")
    await alice.put(f"/rooms/{root}/state/m.space.child/{tree['r1']}", {})
    await add(alice, root, await alice.create_room(preset="public_chat", name="new"), order="0")
    await add(alice, root, tree["r2"], order="1")
    await alice.put(f"/rooms/{tree['r3']}/state/m.room.topic", {"topic": "x"})
    rest = await read_on(alice, root, page)
    assert names(page) + rest == ["root", *(["r1"] if limit > 1 else []), "sub", "r3", "r2"]


async def test_paging_while_a_space_is_hidden(alice: Client, bob: Client, tree: dict[str, str]) -> None:
    page = await hierarchy(bob, tree["root"], "?limit=3")
    assert names(page) == ["root", "r1", "sub"]
    await alice.put(f"/rooms/{tree['r1']}/state/m.room.join_rules", {"join_rule": "invite"})
    await alice.put(f"/rooms/{tree['sub']}/state/m.room.join_rules", {"join_rule": "invite"})
    assert await read_on(bob, tree["root"], page) == ["r2"]
    await alice.put(f"/rooms/{tree['sub']}/state/m.room.join_rules", {"join_rule": "public"})
    assert await read_on(bob, tree["root"], page) == ["r3", "r2"]


async def test_the_shorter_way_counts(alice: Client, tree: dict[str, str]) -> None:
    deep = await space(alice, "deep")
    leaf = await alice.create_room(preset="public_chat", name="leaf")
    await add(alice, tree["sub"], deep)
    await add(alice, tree["root"], deep, order="~")
    await add(alice, deep, leaf)
    await add(alice, tree["root"], tree["sub"], order="0")
    assert names(await hierarchy(alice, tree["root"], "?max_depth=2")) == [
        "root",
        "sub",
        "r3",
        "deep",
        "leaf",
        "r1",
        "r2",
    ]
    first = await hierarchy(alice, tree["root"], "?max_depth=2&limit=4")
    assert await read_on(alice, tree["root"], first) == ["leaf", "r1", "r2"]


@pytest.mark.parametrize(
    "query", ["?from=x", "?limit=0", "?max_depth=-1", "?from=h1-99-0-0", "?from=h1-1-0", "?limit=x"]
)
async def test_refused(alice: Client, tree: dict[str, str], query: str) -> None:
    assert (await hierarchy(alice, tree["root"], query, 400))["errcode"] == "M_INVALID_PARAM"


async def test_what_is_hidden(alice: Client, bob: Client) -> None:
    root = await space(alice, "root")
    hidden = await space(alice, "hidden", preset="private_chat")
    below = await alice.create_room(preset="public_chat", name="below")
    restricted = await alice.create_room(
        name="restricted",
        initial_state=[
            {
                "type": "m.room.join_rules",
                "content": {
                    "join_rule": "restricted",
                    "allow": [{"type": "m.room_membership", "room_id": root}],
                },
            }
        ],
    )
    await add(alice, root, hidden)
    await add(alice, root, restricted)
    await add(alice, hidden, below)
    await add(alice, root, "!nowhere:x")
    assert names(await hierarchy(bob, root)) == ["root"]
    await bob.post(f"/join/{root}")
    assert names(await hierarchy(bob, root)) == ["root", "restricted"]
    await alice.post(f"/rooms/{hidden}/invite", {"user_id": bob.user_id})
    assert set(names(await hierarchy(bob, root))) == {"root", "restricted", "hidden", "below"}
    for room in (await alice.create_room(), "!nowhere:x"):
        refused = await hierarchy(bob, room, status=403)
        assert refused["errcode"] == "M_FORBIDDEN"


async def test_summary(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(
        preset="public_chat", name="Cheese", topic="Tasty", room_alias_name="cheese", room_version="11"
    )
    expected = {
        "room_id": room_id,
        "name": "Cheese",
        "topic": "Tasty",
        "canonical_alias": "#cheese:test.example",
        "num_joined_members": 1,
        "world_readable": False,
        "guest_can_join": False,
        "join_rule": "public",
        "room_version": "11",
    }
    nobody = server.client()
    assert await nobody.request("GET", f"/client/v1/room_summary/{room_id}") == expected
    by_alias = await alice.request("GET", "/client/v1/room_summary/%23cheese:test.example")
    assert by_alias == {**expected, "membership": "join"}
    old = "/client/unstable/im.nheko.summary"
    assert await nobody.request("GET", f"{old}/rooms/{room_id}/summary") == expected
    assert await nobody.request("GET", f"{old}/summary/{room_id}") == expected
    private = await alice.create_room()
    for client in (nobody, bob):
        await client.request("GET", f"/client/v1/room_summary/{private}", status=404)
    await alice.post(f"/rooms/{private}/invite", {"user_id": bob.user_id})
    seen = await bob.request("GET", f"/client/v1/room_summary/{private}")
    assert seen["membership"] == "invite"
    assert "allowed_room_ids" not in seen


async def test_what_is_redacted_is_shown_no_more(server: Homeserver, alice: Client) -> None:
    room_id = await alice.create_room(preset="public_chat", visibility="public")
    named = await alice.put(f"/rooms/{room_id}/state/m.room.name", {"name": "Rude"})
    nobody = server.client()
    assert (await nobody.request("GET", f"/client/v1/room_summary/{room_id}"))["name"] == "Rude"
    assert (await nobody.get("/publicRooms"))["chunk"][0]["name"] == "Rude"
    await alice.put(f"/rooms/{room_id}/redact/{named['event_id']}/1")
    assert "name" not in await nobody.request("GET", f"/client/v1/room_summary/{room_id}")
    assert "name" not in (await nobody.get("/publicRooms"))["chunk"][0]


@pytest.mark.parametrize(
    ("version", "rule", "visible"),
    [
        ("6", "knock", False),
        ("7", "knock", True),
        ("9", "knock_restricted", False),
        ("10", "knock_restricted", True),
        ("7", "restricted", False),
        ("8", "restricted", True),
    ],
)
async def test_join_rules_count_where_the_version_has_them(
    alice: Client, bob: Client, version: str, rule: str, visible: bool
) -> None:
    theirs = await bob.create_room()
    allow = [{"type": "m.room_membership", "room_id": theirs}]
    await expect_visible(alice, bob, version, {"join_rule": rule, "allow": allow}, visible)


async def test_conditions_of_other_types_show_nothing(alice: Client, bob: Client) -> None:
    allow = [{"type": "org.example.unknown", "room_id": await bob.create_room()}]
    await expect_visible(alice, bob, "10", {"join_rule": "restricted", "allow": allow}, False)


async def expect_visible(
    alice: Client, bob: Client, version: str, rules: dict[str, Any], visible: bool
) -> None:
    state = [{"type": "m.room.join_rules", "content": rules}]
    room_id = await alice.create_room(room_version=version, initial_state=state)
    status = 200 if visible else 404
    await bob.request("GET", f"/client/v1/room_summary/{room_id}", status=status)
    await hierarchy(bob, room_id, status=200 if visible else 403)
