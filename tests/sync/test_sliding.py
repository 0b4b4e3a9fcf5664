"""Simplified sliding sync (MSC4186)."""

from __future__ import annotations

import asyncio

from tests.support.homeserver import Client, Homeserver
from tests.sync.sliding import (
    BASIC,
    Connection,
    Json,
    all_rooms,
    bodies,
    keys,
    make_rooms,
    members,
    room_list,
)

MEMBER = "m.room.member"


async def test_versions_say_so(server: Homeserver) -> None:
    features = (await server.client().request("GET", "/client/versions"))["unstable_features"]
    assert features["org.matrix.simplified_msc3575"] is True


async def test_the_first_window(alice: Client) -> None:
    rooms = await make_rooms(alice, 5)
    answer = await Connection(alice, lists={"all": room_list([0, 2], limit=1)}).sync()
    assert answer["lists"] == {"all": {"count": 5}}
    assert set(answer["rooms"]) == set(rooms[2:])
    room = answer["rooms"][rooms[4]]
    assert room["initial"] is True
    assert room["name"] == "Room 4"
    assert room["membership"] == "join"
    assert room["lists"] == ["all"]
    assert keys(room) == {("m.room.create", ""), ("m.room.name", "")}
    assert len(room["timeline"]) == 1
    assert room["limited"] is True
    assert room["num_live"] == 0
    assert (room["joined_count"], room["invited_count"]) == (1, 0)
    assert (room["notification_count"], room["highlight_count"]) == (0, 0)
    assert "heroes" not in room
    assert "is_dm" not in room
    older = await alice.get(
        f"/rooms/{rooms[4]}/messages", params={"dir": "b", "from": room["prev_batch"], "limit": 1}
    )
    assert older["chunk"][0]["event_id"] != room["timeline"][0]["event_id"]


async def test_a_window_that_grows_brings_what_is_missing(alice: Client) -> None:
    rooms = await make_rooms(alice, 5)
    connection = Connection(alice, lists={"all": room_list([0, 1])})
    assert set(await connection.rooms()) == set(rooms[3:])
    assert set(await connection.rooms(lists={"all": room_list([0, 3])})) == set(rooms[1:3])
    assert set(await connection.rooms(lists={"all": room_list([0, 100])})) == {rooms[0]}
    assert await connection.rooms() == {}


async def test_the_form_of_the_proposals_text(alice: Client) -> None:
    rooms = await make_rooms(alice, 3)
    wanted = {
        "include": [{}],
        "exclude": [{"type": "m.room.create", "state_key": ""}, {"type": "m.room.power_levels"}],
    }
    lists = {"all": {"range": [0, 0], "timeline_limit": 1, "required_state": wanted}}
    connection = Connection(alice, lists=lists)
    body: Json = {"timeout": 0, "set_presence": "offline"}
    answer = await connection.request(**body)
    assert set(answer["rooms"]) == {rooms[2]}
    types = {type_ for type_, _ in keys(answer["rooms"][rooms[2]])}
    assert {"m.room.name", MEMBER, "m.room.join_rules"} <= types
    assert not types & {"m.room.create", "m.room.power_levels"}
    again = await connection.request(**body, pos=answer["pos"])
    assert again["rooms"] == {}


async def test_a_list_without_a_range_is_every_room(alice: Client) -> None:
    rooms = await make_rooms(alice, 25)
    lists = {"all": {"timeline_limit": 0, "required_state": []}}
    answer = await Connection(alice, lists=lists).sync()
    assert set(answer["rooms"]) == set(rooms)


async def test_live_updates(alice: Client, bob: Client) -> None:
    first, second = await make_rooms(alice, 2, preset="public_chat")
    await bob.post(f"/join/{first}")
    connection = all_rooms(bob)
    before = (await connection.rooms())[first]
    await alice.send(first, "one")
    await alice.send(first, "two")
    await alice.send(second, "not for bob")
    rooms = await connection.rooms()
    assert set(rooms) == {first}
    room = rooms[first]
    assert bodies(room) == ["one", "two"]
    assert "initial" not in room
    assert "name" not in room
    assert "required_state" not in room
    assert room["limited"] is False
    assert room["num_live"] == 2
    assert room["notification_count"] == 2
    assert room["bump_stamp"] > before["bump_stamp"]
    assert await connection.rooms() == {}


async def test_changed_state_comes_as_wanted(alice: Client) -> None:
    room_id = await alice.create_room(name="Old")
    connection = all_rooms(alice)
    await connection.sync()
    await alice.put(f"/rooms/{room_id}/state/m.room.name", {"name": "New"})
    await alice.put(f"/rooms/{room_id}/state/m.room.topic", {"topic": "Tea"})
    room = (await connection.rooms())[room_id]
    assert room["name"] == "New"
    assert keys(room) == {("m.room.name", "")}
    await alice.put(f"/rooms/{room_id}/state/m.room.name", {})
    room = (await connection.rooms())[room_id]
    assert room["name"] is None


async def test_avatar_heroes_and_counts(server: Homeserver, alice: Client, bob: Client) -> None:
    await bob.put(f"/profile/{bob.user_id}/displayname", {"displayname": "Bobby"})
    room_id = await alice.create_room(invite=[bob.user_id])
    connection = all_rooms(alice)
    room = (await connection.rooms())[room_id]
    assert room["heroes"] == [{"user_id": bob.user_id, "displayname": "Bobby"}]
    assert (room["joined_count"], room["invited_count"]) == (1, 1)
    assert "avatar" not in room
    await bob.post(f"/join/{room_id}")
    await alice.put(f"/rooms/{room_id}/state/m.room.avatar", {"url": "mxc://test.example/a"})
    room = (await connection.rooms())[room_id]
    assert (room["joined_count"], room["invited_count"]) == (2, 0)
    assert room["avatar"] == "mxc://test.example/a"


async def test_an_event_outside_the_window_moves_the_room_into_it(alice: Client) -> None:
    rooms = await make_rooms(alice, 3)
    connection = Connection(alice, lists={"all": room_list([0, 0], limit=5)})
    await connection.sync()
    await alice.send(rooms[0], "up")
    answer = await connection.rooms()
    assert set(answer) == {rooms[0]}
    assert answer[rooms[0]]["initial"] is True
    assert answer[rooms[0]]["num_live"] == 1
    # The room that fell out comes back with what it has missed, and only that.
    await alice.send(rooms[0], "more")
    await alice.send(rooms[2], "also up")
    answer = await connection.rooms()
    assert set(answer) == {rooms[2]}
    assert "initial" not in answer[rooms[2]]
    assert bodies(answer[rooms[2]]) == ["also up"]


async def test_what_happened_out_of_the_window_is_told_later(alice: Client) -> None:
    rooms = await make_rooms(alice, 3)
    wide, narrow = room_list([0, 9], limit=2), room_list([0, 0], limit=2)
    connection = Connection(alice, lists={"all": wide})
    await connection.sync()
    await connection.sync(lists={"all": narrow})
    for number in range(3):
        await alice.send(rooms[0], str(number))
    await alice.put(f"/rooms/{rooms[0]}/state/m.room.name", {"name": "Changed"})
    await alice.send(rooms[1], "newest")
    assert set(await connection.rooms()) == {rooms[1]}
    assert await connection.rooms() == {}
    room = (await connection.rooms(lists={"all": wide}))[rooms[0]]
    assert "initial" not in room
    assert room["limited"] is True
    assert room["name"] == "Changed"
    assert bodies(room) == ["2"]
    assert room["num_live"] == 0


async def test_waiting_ends_with_a_message(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    connection = all_rooms(bob)
    await connection.sync()
    waiting = asyncio.create_task(connection.rooms(timeout=30_000))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await alice.send(room_id, "wake up")
    assert bodies((await asyncio.wait_for(waiting, 5))[room_id]) == ["wake up"]


async def test_waiting_is_not_ended_by_rooms_of_others(alice: Client, bob: Client) -> None:
    await alice.create_room()
    connection = all_rooms(alice)
    await connection.sync()
    waiting = asyncio.create_task(connection.rooms(timeout=300))
    await bob.send(await bob.create_room(), "not for alice")
    assert await waiting == {}


async def test_a_longer_timeline_is_sent_at_once(alice: Client) -> None:
    room_id = await alice.create_room()
    for number in range(6):
        await alice.send(room_id, str(number))
    connection = all_rooms(alice, limit=2)
    assert bodies((await connection.rooms())[room_id]) == ["4", "5"]
    room = (await connection.rooms(lists={"all": room_list(limit=4)}))[room_id]
    assert bodies(room) == ["2", "3", "4", "5"]
    assert room["unstable_expanded_timeline"] is True
    assert room["expanded_timeline"] is True
    assert room["limited"] is True
    assert room["num_live"] == 0
    assert "initial" not in room
    # Less, and then again no more than what the client has: nothing to send.
    assert await connection.rooms(lists={"all": room_list(limit=1)}) == {}
    assert await connection.rooms(lists={"all": room_list(limit=4)}) == {}


async def test_a_whole_timeline_is_not_sent_again(alice: Client) -> None:
    await alice.create_room()
    connection = all_rooms(alice, limit=50)
    await connection.sync()
    assert await connection.rooms(lists={"all": room_list(limit=100)}) == {}


async def test_more_state_is_sent_at_once(alice: Client) -> None:
    room_id = await alice.create_room(name="Tea", topic="Green")
    connection = all_rooms(alice)
    await connection.sync()
    more = room_list(state=[*BASIC, ["m.room.topic", ""], [MEMBER, "$ME"]])
    room = (await connection.rooms(lists={"all": more}))[room_id]
    assert {("m.room.topic", ""), (MEMBER, alice.user_id)} <= keys(room)
    assert "timeline" not in room
    assert await connection.rooms() == {}
    await alice.put(f"/rooms/{room_id}/state/m.room.topic", {"topic": "Black"})
    assert ("m.room.topic", "") in keys((await connection.rooms())[room_id])


async def test_wildcards(alice: Client) -> None:
    room_id = await alice.create_room(name="Tea")
    for key in ("a", "b"):
        await alice.put(f"/rooms/{room_id}/state/org.test/{key}", {"x": 1})
    by_type = (await all_rooms(alice, state=[["org.test", "*"]]).rooms())[room_id]
    assert keys(by_type) == {("org.test", "a"), ("org.test", "b")}
    by_key = (await all_rooms(alice, state=[["*", "a"]]).rooms())[room_id]
    assert keys(by_key) == {("org.test", "a")}
    everything = (await all_rooms(alice, state=[["*", "*"]]).rooms())[room_id]
    assert {("org.test", "a"), ("m.room.create", ""), (MEMBER, alice.user_id)} <= keys(everything)
    nothing = (await all_rooms(alice, state=[]).rooms())[room_id]
    assert keys(nothing) == set()


async def test_lazy_members(server: Homeserver, alice: Client, bob: Client) -> None:
    carol = await server.register("carol")
    room_id = await alice.create_room(preset="public_chat")
    for user in (bob, carol):
        await user.post(f"/join/{room_id}")
    await bob.send(room_id, "hi")
    lazy = [["*", "*"], [MEMBER, "$LAZY"], [MEMBER, "$ME"]]
    connection = all_rooms(alice, limit=1, state=lazy)
    room = (await connection.rooms())[room_id]
    assert members(room) == {alice.user_id, bob.user_id}
    assert ("m.room.create", "") in keys(room)
    await bob.send(room_id, "again")
    assert members((await connection.rooms())[room_id]) == set()
    await carol.send(room_id, "and me")
    assert members((await connection.rooms())[room_id]) == {carol.user_id}
    dave = await server.register("dave")
    await dave.post(f"/join/{room_id}")
    assert members((await connection.rooms())[room_id]) == {dave.user_id}
    # A gap, at which the client drops the members that it knows: those who appear in the timeline.
    await carol.put(f"/profile/{carol.user_id}/displayname", {"displayname": "C"})
    for number in range(3):
        await bob.send(room_id, str(number))
    assert members((await connection.rooms())[room_id]) == {bob.user_id}
    await bob.send(room_id, "once more")
    assert members((await connection.rooms())[room_id]) == set()


async def test_members_of_a_lost_response_are_sent_again(
    server: Homeserver, alice: Client, bob: Client
) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    await alice.send(room_id, "hi")
    connection = all_rooms(alice, limit=1, state=[[MEMBER, "$LAZY"]])
    assert members((await connection.rooms())[room_id]) == {alice.user_id}
    await bob.send(room_id, "hello")
    lost = await connection.request(connection.pos)
    assert members(lost["rooms"][room_id]) == {bob.user_id}
    assert members((await connection.rooms())[room_id]) == {bob.user_id}
    await bob.send(room_id, "again")
    assert members((await connection.rooms())[room_id]) == set()


async def test_members_of_a_longer_timeline_that_got_lost_are_sent_again(alice: Client, bob: Client) -> None:
    """The stream is where it was: the lost response differs in its generation only."""
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    await bob.send(room_id, "hi")
    await alice.send(room_id, "hello")
    connection = all_rooms(alice, limit=1, state=[[MEMBER, "$LAZY"]])
    assert members((await connection.rooms())[room_id]) == {alice.user_id}
    longer = {"all": room_list(limit=2, state=[[MEMBER, "$LAZY"]])}
    lost = await connection.request(connection.pos, lists=longer)
    assert members(lost["rooms"][room_id]) == {bob.user_id}
    assert bob.user_id in members((await connection.rooms(lists=longer))[room_id])
    await bob.send(room_id, "again")
    assert members((await connection.rooms())[room_id]) == set()


async def test_filters(server: Homeserver, alice: Client, bob: Client) -> None:
    plain = await alice.create_room(name="Plain")
    encryption = {"type": "m.room.encryption", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}
    secret = await alice.create_room(initial_state=[encryption])
    space = await alice.create_room(creation_content={"type": "m.space"})
    direct = await alice.create_room(is_direct=True, invite=[bob.user_id])
    invited = await bob.create_room(invite=[alice.user_id])
    await alice.put(f"/user/{alice.user_id}/account_data/m.direct", {bob.user_id: [direct]})
    await alice.put(f"/user/{alice.user_id}/rooms/{plain}/tags/m.favourite", {"order": 0.5})
    await alice.put(f"/rooms/{space}/state/m.space.child/{secret}", {"via": ["test.example"]})
    everything = {plain, secret, space, direct, invited}
    expected: list[tuple[Json, set[str]]] = [
        ({}, everything),
        ({"is_dm": True}, {direct}),
        ({"is_dm": False}, everything - {direct}),
        ({"is_encrypted": True}, {secret}),
        ({"is_encrypted": False}, everything - {secret}),
        ({"is_invite": True}, {invited}),
        ({"is_invited": False}, everything - {invited}),
        ({"room_types": ["m.space"]}, {space}),
        ({"room_types": [None]}, everything - {space}),
        ({"not_room_types": ["m.space"]}, everything - {space}),
        ({"room_types": ["m.space"], "not_room_types": ["m.space"]}, set()),
        ({"tags": ["m.favourite", "m.lowpriority"]}, {plain}),
        ({"not_tags": ["m.favourite"]}, everything - {plain}),
        ({"tags": ["m.favourite"], "not_tags": ["m.favourite"]}, set()),
        ({"spaces": [space]}, {secret}),
        ({"spaces": ["!unknown:test.example"]}, set()),
    ]
    lists = {
        str(number): room_list([0, 99], limit=0, filters=filters)
        for number, (filters, _) in enumerate(expected)
    }
    answer = await Connection(alice, lists=lists).sync()
    for number, (filters, rooms) in enumerate(expected):
        found = {room_id for room_id, room in answer["rooms"].items() if str(number) in room["lists"]}
        assert found == rooms, filters
        assert answer["lists"][str(number)]["count"] == len(rooms)


async def test_filters_follow_what_changes(alice: Client) -> None:
    room_id = await alice.create_room()
    space = await alice.create_room(creation_content={"type": "m.space"})
    lists = {
        "secret": room_list(filters={"is_encrypted": True}),
        "dms": room_list(filters={"is_dm": True}),
        "favourites": room_list(filters={"tags": ["m.favourite"]}),
        "in_space": room_list(filters={"spaces": [space]}),
    }
    connection = Connection(alice, lists=lists)

    async def counts() -> dict[str, int]:
        return {name: item["count"] for name, item in (await connection.sync())["lists"].items()}

    assert await counts() == {"secret": 0, "dms": 0, "favourites": 0, "in_space": 0}
    await alice.put(f"/rooms/{room_id}/state/m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"})
    assert await counts() == {"secret": 1, "dms": 0, "favourites": 0, "in_space": 0}
    await alice.put(f"/user/{alice.user_id}/account_data/m.direct", {"@x:test.example": [room_id]})
    assert await counts() == {"secret": 1, "dms": 1, "favourites": 0, "in_space": 0}
    await alice.put(f"/user/{alice.user_id}/rooms/{room_id}/tags/m.favourite", {})
    await alice.put(f"/rooms/{space}/state/m.space.child/{room_id}", {"via": ["test.example"]})
    assert await counts() == {"secret": 1, "dms": 1, "favourites": 1, "in_space": 1}
    await alice.delete(f"/user/{alice.user_id}/rooms/{room_id}/tags/m.favourite")
    await alice.put(f"/user/{alice.user_id}/account_data/m.direct", {"@x:test.example": []})
    assert await counts() == {"secret": 1, "dms": 0, "favourites": 0, "in_space": 1}


async def test_is_dm_is_told_when_it_changes(alice: Client) -> None:
    room_id = await alice.create_room()
    connection = all_rooms(alice)
    assert "is_dm" not in (await connection.rooms())[room_id]
    await alice.put(f"/user/{alice.user_id}/account_data/m.direct", {"@x:test.example": [room_id]})
    assert (await connection.rooms())[room_id]["is_dm"] is True
    assert await connection.rooms() == {}
    await alice.put(f"/user/{alice.user_id}/account_data/m.direct", {"@y:test.example": []})
    assert (await connection.rooms())[room_id]["is_dm"] is False
    assert (await all_rooms(alice, "fresh").rooms())[room_id].get("is_dm") is None


async def test_subscriptions(alice: Client, bob: Client) -> None:
    rooms = await make_rooms(alice, 3)
    foreign = await bob.create_room()
    subscription = {"timeline_limit": 3, "required_state": [["m.room.join_rules", ""]]}
    connection = Connection(
        alice,
        lists={"all": room_list([0, 0], limit=1)},
        room_subscriptions=dict.fromkeys((rooms[0], foreign, "!no:test.example", "x"), subscription),
    )
    answer = await connection.rooms()
    assert set(answer) == {rooms[0], rooms[2]}
    assert keys(answer[rooms[0]]) == {("m.room.join_rules", "")}
    assert len(answer[rooms[0]]["timeline"]) == 3
    assert "lists" not in answer[rooms[0]]
    # In a list and subscribed to: what either wants.
    await alice.send(rooms[0], "up")
    assert bodies((await connection.rooms())[rooms[0]]) == ["up"]
    wanted = {rooms[2]: {"timeline_limit": 3, "required_state": [["m.room.join_rules", ""]]}}
    room = (await connection.rooms(room_subscriptions=wanted))[rooms[2]]
    assert ("m.room.join_rules", "") in keys(room)
    assert len(room["timeline"]) == 3
