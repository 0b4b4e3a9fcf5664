"""Simplified sliding sync (MSC4186): connections, retries, restarts, bad requests, and what they cost."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from palpo.db.statements import Statement
from palpo.db.tables.sliding_sync import sliding_connections
from palpo.services.accounts.sessions import Requester
from palpo.storage.sliding_sync import RoomSent
from palpo.streams.caches import CacheBudget
from palpo.sync.sliding.config import parse_request
from palpo.sync.sliding.connections import Connections, UnknownPos
from palpo.wire.client.sliding_sync import SlidingSyncBody, SlidingSyncParams
from tests.support.homeserver import Client, Homeserver, homeserver
from tests.support.statements import Statements
from tests.sync.sliding import Connection, Json, all_rooms, bodies, make_rooms, room_list

EXTENSIONS = ("to_device", "e2ee", "account_data", "receipts", "typing")
DEVICES = Statement(select(sliding_connections.c.device_id))


async def test_a_lost_response_is_made_again(alice: Client) -> None:
    rooms = await make_rooms(alice, 3)
    connection = Connection(alice, lists={"all": room_list([0, 0])})
    await connection.sync()
    wide = {"all": room_list([0, 9])}
    for _ in range(3):
        lost = await connection.request(connection.pos, lists=wide)
        assert set(lost["rooms"]) == set(rooms[:2])
    await alice.send(rooms[0], "in between")
    lost = await connection.request(connection.pos, lists=wide)
    assert bodies(lost["rooms"][rooms[0]]) == ["in between"]
    # The retry may want less: what the lost responses had must then still come later.
    middle = await connection.rooms(lists={"all": room_list([0, 1])})
    assert set(middle) == {rooms[0]}
    last = await connection.rooms(lists=wide)
    assert set(last) == {rooms[1]}
    assert await connection.rooms() == {}


async def test_a_lost_response_about_a_room_that_is_followed(alice: Client) -> None:
    room_id = await alice.create_room()
    connection = all_rooms(alice)
    await connection.sync()
    await alice.send(room_id, "one")
    assert bodies((await connection.request(connection.pos))["rooms"][room_id]) == ["one"]
    await alice.send(room_id, "two")
    assert bodies((await connection.rooms())[room_id]) == ["one", "two"]


async def test_a_lost_response_about_leaving(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    connection = all_rooms(bob)
    await connection.sync()
    await bob.post(f"/rooms/{room_id}/leave")
    lost = await connection.request(connection.pos)
    assert lost["rooms"][room_id]["membership"] == "leave"
    assert (await connection.rooms())[room_id]["membership"] == "leave"
    assert await connection.rooms() == {}


async def test_a_new_request_takes_the_place_of_the_one_that_waits(alice: Client) -> None:
    rooms = await make_rooms(alice, 2)
    connection = Connection(alice, lists={"all": room_list([0, 0])})
    await connection.sync()
    before = connection.pos
    waiting = asyncio.create_task(connection.request(before, timeout=5000))
    await asyncio.sleep(0.05)
    assert set(await connection.rooms(lists={"all": room_list([0, 9])})) == {rooms[0]}
    await alice.send(rooms[0], "late")
    abandoned = await asyncio.wait_for(waiting, 10)
    assert (abandoned["rooms"], abandoned["pos"]) == ({}, before)
    assert bodies((await connection.rooms())[rooms[0]]) == ["late"]


@pytest.mark.parametrize("pos", ["nonsense", "s1", "s1_00_1", "s99999999999999999999_aa_1"])
async def test_an_unknown_pos(alice: Client, pos: str) -> None:
    connection = all_rooms(alice)
    await connection.sync()
    answer = await connection.request(pos, status=400)
    assert answer["errcode"] == "M_UNKNOWN_POS"


async def test_a_pos_belongs_to_its_connection(server: Homeserver, alice: Client, bob: Client) -> None:
    connection = all_rooms(alice)
    await connection.sync()
    others = [all_rooms(bob), all_rooms(await server.login("alice"))]
    others.append(Connection(alice, "other", lists={}))
    for other in others:
        await other.sync()
        assert (await other.request(connection.pos, status=400))["errcode"] == "M_UNKNOWN_POS"
    assert (await connection.sync())["rooms"] == {}


async def test_an_old_pos_is_refused_once_a_later_one_was_used(alice: Client) -> None:
    connection = Connection(alice, lists={"all": room_list([0, 0])})
    await make_rooms(alice, 4)
    seen = []
    for end in range(3):
        await connection.sync(lists={"all": room_list([0, end])})
        seen.append(connection.pos)
    assert (await connection.request(seen[0], status=400))["errcode"] == "M_UNKNOWN_POS"
    await connection.sync()


async def test_beginning_anew(alice: Client) -> None:
    room_id = await alice.create_room()
    connection = all_rooms(alice)
    await connection.sync()
    old, connection.pos = connection.pos, None
    assert (await connection.rooms())[room_id]["initial"] is True
    assert (await connection.request(old, status=400))["errcode"] == "M_UNKNOWN_POS"


async def test_connections_do_not_touch_each_other(alice: Client) -> None:
    room_id = await alice.create_room()
    one, two = Connection(alice, "one"), Connection(alice, "two")
    one.body["lists"] = two.body["lists"] = {"all": room_list()}
    await one.sync()
    assert room_id in await two.rooms()
    await alice.send(room_id, "both")
    assert bodies((await one.rooms())[room_id]) == ["both"]
    assert bodies((await two.rooms())[room_id]) == ["both"]


async def test_connections_of_a_device_are_bounded(tmp_path: Path) -> None:
    async with homeserver(tmp_path) as server:
        alice = await server.register("alice")
        connections = [Connection(alice, str(number), lists={"all": room_list()}) for number in range(12)]
        for connection in connections:
            await connection.sync()
            server.clock.advance(1)
        assert len(server.services.sync.sliding._connections._cache) == 10
        for connection in connections[:2]:
            assert (await connection.request(connection.pos, status=400))["errcode"] == "M_UNKNOWN_POS"
    async with homeserver(tmp_path) as server:
        alice.http = server.http
        for connection in connections[2:]:
            await connection.sync()
        for connection in connections[:2]:
            assert (await connection.request(connection.pos, status=400))["errcode"] == "M_UNKNOWN_POS"


async def test_connections_go_with_their_device(server: Homeserver, alice: Client) -> None:
    other = await server.login("alice")
    await all_rooms(other).sync()
    await all_rooms(alice).sync()
    await other.post("/logout")
    rows = await server.services.server.db.read(lambda tx: tx.all(DEVICES))
    assert [row[0] for row in rows] == [alice.device_id]


async def test_a_connection_survives_a_restart(tmp_path: Path) -> None:
    async with homeserver(tmp_path) as server:
        alice = await server.register("alice")
        rooms = await make_rooms(alice, 3)
        connection = Connection(alice, lists={"all": room_list([0, 1])})
        await connection.sync()
        await alice.send(rooms[2], "before the restart")
        lost = await connection.request(connection.pos, lists={"all": room_list([0, 9])})
        assert set(lost["rooms"]) == {rooms[0], rooms[2]}
    async with homeserver(tmp_path) as server:
        alice.http = server.http
        await alice.send(rooms[1], "after the restart")
        answer = await connection.rooms()
        assert {room_id: bodies(room) for room_id, room in answer.items()} == {
            rooms[1]: ["after the restart"],
            rooms[2]: ["before the restart"],
        }
        assert not any("initial" in room for room in answer.values())
        assert set(await connection.rooms(lists={"all": room_list([0, 9])})) == {rooms[0]}
        assert await connection.rooms() == {}
    async with homeserver(tmp_path) as server:
        alice.http = server.http
        assert await connection.rooms() == {}
        assert await connection.rooms(lists={"all": room_list([0, 9], limit=1)}) == {}


async def test_a_pos_pages_through_messages(alice: Client) -> None:
    room_id = await alice.create_room()
    await alice.send(room_id, "before")
    connection = all_rooms(alice)
    await connection.sync()
    await alice.send(room_id, "after")
    page = await alice.get(
        f"/rooms/{room_id}/messages", params={"dir": "f", "from": connection.pos, "limit": 5}
    )
    assert [event["content"]["body"] for event in page["chunk"]] == ["after"]


async def test_what_one_response_does_not_hold_comes_with_the_next(
    server: Homeserver, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.services.sync.connections, "max_rooms", 2)
    rooms = await make_rooms(alice, 5)
    connection = all_rooms(alice)
    got = [set(await connection.rooms(timeout=30_000)) for _ in range(3)]
    assert got == [set(rooms[3:]), set(rooms[1:3]), {rooms[0]}]
    for room_id in rooms[:3]:
        await alice.send(room_id, f"in {room_id}")
    first, second = await connection.rooms(), await connection.rooms()
    assert (set(first), set(second)) == ({rooms[2], rooms[1]}, {rooms[0]})
    assert bodies(second[rooms[0]]) == [f"in {rooms[0]}"]
    assert await connection.rooms() == {}


async def test_another_process_has_moved_the_connection_on(server: Homeserver, alice: Client) -> None:
    requester = Requester(user_id=alice.user_id, device_id=alice.device_id)
    one, two = (
        Connections(server.services.server.db, server.clock, CacheBudget(), random_tag=lambda: "1f")
        for _ in range(2)
    )
    sent = RoomSent("join", None, 1, 0)
    mine, _ = await one.open(requester, "c", None)
    assert await one.offer(mine, {"!a": sent}) == 1
    theirs, _ = await two.open(requester, "c", "s1_1f_1")
    assert await two.offer(theirs, {"!b": sent}) == 2
    # This process does not know of that yet: what it would write is refused, and it looks again.
    mine, _ = await one.open(requester, "c", "s1_1f_1")
    assert await one.offer(mine, {"!c": sent}) is None
    mine, _ = await one.open(requester, "c", "s1_1f_1")
    assert mine.rooms == {"!a": sent}
    assert await one.offer(mine, {"!c": sent}) == 3
    # Now it is the other's turn to look again: its generation 2 is no more.
    with pytest.raises(UnknownPos):
        await one.open(requester, "c", "s1_1f_2")
    theirs, _ = await two.open(requester, "c", "s1_1f_3")
    assert theirs.rooms == {"!a": sent, "!c": sent}


BAD: list[Json] = [
    {"lists": {str(number): room_list() for number in range(101)}},
    {"room_subscriptions": {f"!{n}:x": {"timeline_limit": 1, "required_state": []} for n in range(101)}},
    {"lists": {"a": room_list([3, 1])}},
    {"lists": {"a": room_list([-1, 1])}},
    {"lists": {"a": room_list(limit=-1)}},
    {"lists": {"a": room_list(state=[["a", "b", "c"]])}},
    {"lists": {"a": room_list(state=[["a", str(n)] for n in range(501)])}},
    {"lists": {str(n): room_list(state=[[str(n), str(m)] for m in range(400)]) for n in range(20)}},
    {"lists": {"a": {"ranges": [[0, 1]]}}},
    {"lists": {"a" * 256: room_list()}},
    {"lists": []},
    {"conn_id": "a" * 256},
    {"conn_id": "a\0"},
    {"set_presence": "asleep"},
    {"extensions": {"to_device": {"enabled": True, "since": "nonsense"}}},
    {"room_subscriptions": {"!a\0:x": {"timeline_limit": 1, "required_state": []}}},
]


@pytest.mark.parametrize("body", BAD)
async def test_bad_requests(alice: Client, body: Json) -> None:
    answer = await Connection(alice).request(status=400, **body)
    assert answer["errcode"] in ("M_INVALID_PARAM", "M_BAD_JSON", "M_MISSING_PARAM")


async def test_unknown_extensions_and_odd_texts_do_no_harm(alice: Client) -> None:
    room_id = await alice.create_room()
    body: Json = {
        "lists": {"a": room_list(state=[["m.room.name\0", ""], ["\u00e9", "*"]], filters={"tags": ["\0"]})},
        "extensions": {"org.test.unknown": {"enabled": True}},
        "room_subscriptions": {room_id: {"timeline_limit": 10**6, "required_state": []}},
    }
    answer = await Connection(alice).request(**body)
    assert set(answer["rooms"]) == {room_id}


SPARE = 4


async def test_what_a_quiet_request_costs(alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many statements for three hundred rooms as for ten, and for one message as well.

    Background work of the server, such as the search index, counts too when it falls into a request: each
    cost is the least of several, and a few may be spared.
    """
    statements = Statements(monkeypatch)

    async def cost(connection: Connection, expected: set[str]) -> int:
        before = statements.count
        assert set(await connection.rooms()) == expected
        return statements.count - before

    costs: list[tuple[int, int]] = []
    rooms: list[str] = []
    for total in (10, 300):
        rooms += await make_rooms(alice, total - len(rooms))
        lists = {"all": room_list([0, 999], limit=1, filters={"not_room_types": ["m.space"]})}
        enabled = {
            name: {"enabled": True} for name in ("to_device", "e2ee", "account_data", "receipts", "typing")
        }
        connection = Connection(alice, str(total), lists=lists, extensions=enabled)
        assert len(await connection.rooms()) == total
        await connection.sync()
        quiet, busy = [], []
        for _ in range(5):
            quiet.append(await cost(connection, set()))
            await alice.send(rooms[0], "hello")
            busy.append(await cost(connection, {rooms[0]}))
        costs.append((min(quiet), min(busy)))
    for few, many in zip(*costs, strict=True):
        assert many <= few + SPARE
    assert costs[0][0] <= 2 + SPARE
    assert costs[0][1] <= 12 + SPARE


async def test_a_connection_whose_wishes_never_end_begins_anew(alice: Client) -> None:
    await alice.create_room()
    connection = Connection(alice)
    for number in range(60):
        state = [[str(number), str(n)] for n in range(500)]
        answer = await connection.request(connection.pos, status=None, lists={"a": room_list(state=state)})
        if "errcode" in answer:
            break
        connection.pos = answer["pos"]
    assert answer["errcode"] == "M_UNKNOWN_POS"


async def test_ranges_that_overlap(alice: Client) -> None:
    rooms = await make_rooms(alice, 6)
    answer = await Connection(alice).request(lists={"a": room_list([4, 9], [0, 1], [1, 2], [1, 1])})
    assert set(answer["rooms"]) == set(rooms) - {rooms[2]}


async def test_a_request_that_breaks_off_loses_no_room(
    server: Homeserver, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, left, direct = await make_rooms(alice, 3)
    connection = Connection(alice, lists={"a": room_list(filters={"is_dm": False})})
    await connection.sync()
    joined = await alice.create_room(name="new")
    await alice.post(f"/rooms/{left}/leave")
    await alice.post(f"/rooms/{left}/forget")
    await alice.put(f"/user/{alice.user_id}/account_data/m.direct", {"@bob:x": [direct]})
    lists = server.services.sync.sliding._lists

    async def broken(*_: Any) -> dict[str, int]:
        raise asyncio.CancelledError

    monkeypatch.setattr(lists, "_positions", broken)
    with pytest.raises(asyncio.CancelledError):
        await server.services.sync.sliding.sync(
            Requester(user_id=alice.user_id, device_id=alice.device_id),
            await parse_request(alice.user_id, SlidingSyncParams(), SlidingSyncBody()),
        )
    monkeypatch.undo()
    rooms = await connection.rooms()
    assert {room_id: room["membership"] for room_id, room in rooms.items()} == {joined: "join", left: "leave"}
    answer = await Connection(alice, "fresh", lists={"a": room_list(filters={"is_dm": False})}).sync()
    assert set(answer["rooms"]) == {kept, joined}
