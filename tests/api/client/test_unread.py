"""What is unread: judged as things were at each event, and exact whatever becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from palpo.services.push import unread as service
from tests.support.homeserver import Client, Homeserver, homeserver

LEVELS = "m.room.power_levels"


async def counts(client: Client, room_id: str) -> tuple[int, int]:
    """``(notifications, highlights)`` of a room."""
    filter_ = f'{{"room":{{"rooms":["{room_id}"],"timeline":{{"limit":1}}}}}}'
    room = (await client.get("/sync", params={"filter": filter_}))["rooms"]["join"][room_id]
    return room["unread_notifications"]["notification_count"], room["unread_notifications"]["highlight_count"]


async def send(client: Client, room_id: str, body: str = "hello", **content: Any) -> str:
    path = f"/rooms/{room_id}/send/m.room.message/{client.transaction_id()}"
    event_id: str = (await client.put(path, {"msgtype": "m.text", "body": body, **content}))["event_id"]
    return event_id


async def redact(client: Client, room_id: str, event_id: str) -> None:
    await client.put(f"/rooms/{room_id}/redact/{event_id}/{client.transaction_id()}", {})


async def shared_room(creator: Client, *others: Client, **body: Any) -> str:
    room_id = await creator.create_room(preset="public_chat", room_version="11", **body)
    for other in others:
        await other.post(f"/join/{room_id}")
    return room_id


async def set_levels(client: Client, room_id: str, **changes: Any) -> None:
    path = f"/rooms/{room_id}/state/{LEVELS}/"
    await client.put(path, {**await client.get(path), **changes})


async def whole_room(client: Client, room_id: str) -> str:
    return await send(client, room_id, "@room hello", **{"m.mentions": {"room": True}})


@asynccontextmanager
async def three(tmp_path: Path) -> AsyncIterator[tuple[Homeserver, Client, Client, Client]]:
    async with homeserver(tmp_path) as server:
        yield server, *[await server.register(name) for name in ("alice", "bob", "carol")]


async def test_who_may_notify_the_room_is_judged_as_it_was(tmp_path: Path) -> None:
    async with three(tmp_path) as (_, alice, bob, carol):
        both = {alice.user_id: 100, carol.user_id: 100}
        demoted = await shared_room(alice, bob, carol)
        await set_levels(alice, demoted, users=both)
        await whole_room(alice, demoted)
        await set_levels(carol, demoted, users={carol.user_id: 100, alice.user_id: 100, bob.user_id: 0})
        await set_levels(alice, demoted, users={carol.user_id: 100})
        promoted = await shared_room(carol, alice, bob)
        await whole_room(alice, promoted)
        await set_levels(carol, promoted, users=both)
        raised = await shared_room(alice, bob, carol)
        await set_levels(alice, raised, users={alice.user_id: 100, carol.user_id: 60})
        await whole_room(carol, raised)
        await set_levels(alice, raised, notifications={"room": 80})
        lowered = await shared_room(carol, alice, bob)
        await whole_room(alice, lowered)
        await set_levels(carol, lowered, notifications={"room": 0})

        found = [await counts(bob, room_id) for room_id in (demoted, promoted, raised, lowered)]

        assert [highlights for _, highlights in found] == [1, 0, 1, 0]


async def test_members_are_counted_as_they_were(tmp_path: Path) -> None:
    async with three(tmp_path) as (server, alice, bob, carol):
        await bob.put("/pushrules/global/underride/.m.rule.message/actions", {"actions": []})
        room_id = await shared_room(alice, bob)
        await send(alice, room_id, "two of us")
        await carol.post(f"/join/{room_id}")
        await send(alice, room_id, "three")
        await alice.put(f"/rooms/{room_id}/state/m.room.topic/", {"topic": "three still"})
        await send(alice, room_id, "three")
        await carol.post(f"/rooms/{room_id}/leave")
        await alice.post(f"/rooms/{room_id}/invite", {"user_id": carol.user_id})
        await send(alice, room_id, "two again")
        await carol.post(f"/join/{room_id}")
        assert await counts(bob, room_id) == (2, 0)
        dave = await server.register("dave")
        # Whoever asks first, and from where on, what was counted before is of no matter.
        await send(alice, room_id, "three")
        await carol.post(f"/rooms/{room_id}/leave")
        await send(alice, room_id, "two")
        await dave.post(f"/join/{room_id}")
        await carol.post(f"/join/{room_id}")
        server.services.push.push_judge._push_rooms._counts.clear()
        assert await counts(bob, room_id) == (3, 0)


async def test_names_are_those_of_then(tmp_path: Path) -> None:
    async with homeserver(tmp_path, push={"legacy_mentions": True}) as server:
        alice, bob = await server.register("alice"), await server.register("bob")
        room_id = await shared_room(alice, bob)
        await bob.put(f"/profile/{bob.user_id}/displayname", {"displayname": "Robert"})
        await send(alice, room_id, "hello Robert")
        await bob.put(f"/profile/{bob.user_id}/displayname", {"displayname": "Bobby"})
        await send(alice, room_id, "hello Robert")
        await send(alice, room_id, "hello Bobby")
        assert await counts(bob, room_id) == (3, 2)


async def test_rules_are_those_of_then(tmp_path: Path) -> None:
    async with three(tmp_path) as (_, alice, bob, _):
        room_id = await shared_room(alice, bob)
        await send(alice, room_id)
        await bob.put(f"/pushrules/global/room/{room_id}", {"actions": []})
        await send(alice, room_id)
    async with homeserver(tmp_path) as server:
        bob = Client(server.http, bob.user_id, bob.token)
        assert await counts(bob, room_id) == (1, 0)
        await bob.delete(f"/pushrules/global/room/{room_id}")
        assert await counts(bob, room_id) == (1, 0)


async def test_whom_the_user_ignores_is_not_counted(tmp_path: Path) -> None:
    async with three(tmp_path) as (_, alice, bob, carol):
        room_id = await shared_room(alice, bob, carol)
        await send(alice, room_id)
        await send(carol, room_id)
        assert await counts(bob, room_id) == (2, 0)
        path = f"/user/{bob.user_id}/account_data/m.ignored_user_list"
        await bob.put(path, {"ignored_users": {carol.user_id: {}}})
        assert await counts(bob, room_id) == (1, 0)
        await send(carol, room_id)
        assert await counts(bob, room_id) == (1, 0)


async def test_redactions_wherever_the_event_is(tmp_path: Path) -> None:
    async with three(tmp_path) as (_, alice, bob, _):
        room_id = await shared_room(alice, bob)
        root = await send(alice, room_id, "root")
        in_thread = {"m.relates_to": {"rel_type": "m.thread", "event_id": root}}
        mention = {"m.mentions": {"user_ids": [bob.user_id]}}
        first = await send(alice, room_id, "you", **mention)
        reply = await send(alice, room_id, "in it", **in_thread)
        sent = [await send(alice, room_id, str(number)) for number in range(700)]
        assert await counts(bob, room_id) == (703, 1)
        for event_id in (first, reply, sent[0], sent[350], sent[699], sent[0]):
            await redact(alice, room_id, event_id)
        assert await counts(bob, room_id) == (698, 0)
        await bob.post(f"/rooms/{room_id}/receipt/m.read/{sent[349]}")
        assert await counts(bob, room_id) == (348, 0)
        await redact(alice, room_id, sent[10])
        assert await counts(bob, room_id) == (348, 0)
        await bob.post(f"/rooms/{room_id}/receipt/m.read/{sent[20]}")
        assert await counts(bob, room_id) == (348, 0)
    async with homeserver(tmp_path) as server:
        alice, bob = (Client(server.http, who.user_id, who.token) for who in (alice, bob))
        await redact(alice, room_id, sent[351])
        assert await counts(bob, room_id) == (347, 0)


async def test_more_than_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with three(tmp_path) as (server, alice, bob, carol):
        monkeypatch.setattr(server.services.push.unread, "_max_scan", 20)
        room_id = await shared_room(alice, bob, carol)
        sent = [await send(alice, room_id, str(number)) for number in range(10)]
        assert await counts(bob, room_id) == (10, 0)
        for event_id in sent[:3]:
            await redact(alice, room_id, event_id)
        for number in range(30):
            await send(alice, room_id, str(number))
        # What was counted stays, but for what was redacted; of what is new, the newest.
        assert await counts(bob, room_id) == (27, 0)
        await send(bob, room_id, "read it all")
        for number in range(30):
            await send(alice, room_id, str(number))
        assert await counts(bob, room_id) == (20, 0)
        assert await counts(carol, room_id) == (20, 0)


async def test_coming_back_reads_what_came_before(tmp_path: Path) -> None:
    async with three(tmp_path) as (_, alice, bob, carol):
        room_id = await shared_room(alice, bob, carol)
        await send(alice, room_id)
        assert await counts(bob, room_id) == (1, 0)
        await bob.post(f"/rooms/{room_id}/leave")
        await send(alice, room_id)
        await bob.post(f"/join/{room_id}")
        await send(alice, room_id)
        assert await counts(bob, room_id) == (1, 0)
        await send(bob, room_id)
        assert await counts(bob, room_id) == (0, 0)


async def test_long_absences_are_judged_a_few_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = 5
    under_way, most, judge_all = 0, 0, service.Unread._judge_all

    async def counted(self: service.Unread, asked: Any, room_id: str, ids: list[str], state: Any) -> None:
        nonlocal under_way, most
        long = len(ids) > batch
        under_way += long
        most = max(most, under_way)
        await asyncio.sleep(0.01)
        await judge_all(self, asked, room_id, ids, state)
        under_way -= long

    async with three(tmp_path) as (server, alice, bob, carol):
        monkeypatch.setattr(server.services.push.unread, "_batch", batch)
        rooms = [await shared_room(alice, bob, carol) for _ in range(4)]
        for room_id in rooms:
            for number in range(12):
                await send(alice, room_id, str(number))
        monkeypatch.setattr(service.Unread, "_judge_all", counted)
        synced = await asyncio.gather(bob.get("/sync"), carol.get("/sync"))
    assert most == service.LONG_AT_ONCE
    for answer in synced:
        for room_id in rooms:
            assert answer["rooms"]["join"][room_id]["unread_notifications"]["notification_count"] == 12
