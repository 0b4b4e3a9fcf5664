"""Deleting rooms: nothing of one is left, wherever the work is cut short."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from palpo.core.identifiers import RoomId
from palpo.core.records.jobs import Job, JobState
from palpo.core.records.quotas import Kind
from palpo.db.statements import Statement, in_list
from palpo.db.tables import metadata
from palpo.db.tables.outside_memberships import outside_memberships
from palpo.db.tables.rooms import memberships, state_nodes
from palpo.db.transaction import Transaction
from palpo.services.administration import room_deletion
from palpo.services.administration.room_deletion import DeletionWish, RoomDeletion
from palpo.services.server.jobs import Step
from palpo.storage import departures, jobs, room_rows
from palpo.storage.room_rows import KEPT
from palpo.workers.jobs import JobWorker
from palpo.workers.sweeps import JOB_MS, Sweeper
from tests.api.admin.test_rooms import get, make, say
from tests.support.homeserver import Client, Homeserver
from tests.support.pairs import Town

V1 = "//_synapse/admin/v1/rooms"
V2 = "//_synapse/admin/v2/rooms"
EVENT_COLUMNS = ("event_id", "target_id", "prev_event_id", "redaction_id", "root_id", "create_event_id")


async def fill(alice: Client, bob: Client) -> tuple[str, list[str]]:
    """A room with something of everything, and its events."""
    room_id = await make(alice, preset="public_chat", visibility="public", room_alias_name="doomed", name="a")
    await bob.post(f"/join/{room_id}", {})
    first = await say(alice, room_id, "findme")
    path = f"/rooms/{room_id}/send/m.room.message/{bob.transaction_id()}"
    relation = {"rel_type": "m.thread", "event_id": first}
    await bob.put(path, {"msgtype": "m.text", "body": "b", "m.relates_to": relation})
    for number in range(5):
        await alice.put(f"/rooms/{room_id}/state/x.y/{number}", {"z": number})
    last = await say(bob, room_id, "c")
    await alice.post(f"/rooms/{room_id}/receipt/m.read/{last}", {})
    await alice.put(f"/rooms/{room_id}/redact/{first}/{alice.transaction_id()}", {})
    await bob.put(f"/user/{bob.user_id}/rooms/{room_id}/account_data/x.y", {"a": 1})
    await bob.put(f"/rooms/{room_id}/typing/{bob.user_id}", {"typing": True, "timeout": 1000})
    await alice.post(f"/rooms/{room_id}/report/{last}", {"reason": "x"})
    await bob.request(
        "PUT",
        f"/client/unstable/io.element.msc4306/rooms/{room_id}/thread/{first}/subscription",
        {},
        status=None,
    )
    await alice.get("/sync")
    state = await alice.get(f"/rooms/{room_id}/messages?dir=b&limit=100")
    return room_id, [event["event_id"] for event in state["chunk"]]


def statements(room_id: str, events: list[str]) -> Iterator[tuple[str, list[str], Statement]]:
    """What counts, for each table that has a room or an event in it, those of a room."""
    for table in metadata.sorted_tables:
        if table.name in KEPT:
            continue
        for column in table.columns:
            if column.name == "room_id":
                yield (
                    table.name,
                    [room_id],
                    Statement(select(func.count()).select_from(table).where(in_list(column, "names"))),
                )
            elif column.name in EVENT_COLUMNS:
                yield (
                    table.name,
                    events,
                    Statement(select(func.count()).select_from(table).where(in_list(column, "names"))),
                )


async def left_of(server: Homeserver, room_id: str, events: list[str]) -> dict[str, int]:
    """How many rows tables have of a room, where they have any that clients are not to be told of."""

    async def unit(tx: Transaction) -> dict[str, int]:
        found: dict[str, int] = {}
        for table, names, statement in statements(room_id, events):
            found[table] = found.get(table, 0) + int(await tx.value(statement, names=names))
        return {name: count for name, count in found.items() if count}

    departures = Statement(
        select(func.count())
        .select_from(
            outside_memberships.join(memberships, outside_memberships.c.event_id == memberships.c.event_id)
        )
        .where(memberships.c.membership == "leave", in_list(memberships.c.room_id, "names"))
    )

    async def both(tx: Transaction) -> dict[str, int]:
        found = await unit(tx)
        kept = int(await tx.value(departures, names=[room_id]))
        for table in ("memberships", "outside_memberships"):
            if found.get(table, 0) == kept:
                found.pop(table, None)
        return found

    return await server.services.server.db.read(both)


async def nodes(server: Homeserver) -> int:
    """How many nodes of state trees there are."""
    count = Statement(select(func.count()).select_from(state_nodes))
    return int(await server.services.server.db.read(lambda tx: tx.value(count)))


async def ended(admin: Client, delete_id: str) -> Any:
    """What became of a deletion, once it has ended."""
    async with asyncio.timeout(30):
        while True:
            status = await get(admin, f"{V2}/delete_status/{delete_id}")
            if status["status"] not in ("scheduled", "active"):
                return status
            await asyncio.sleep(0.01)


async def test_nothing_is_left(server: Homeserver, admin: Client, alice: Client) -> None:
    bob = await server.register("bob")
    kept = await make(alice, name="kept")
    before = await nodes(server)
    quotas = server.services.server.quotas
    used = await quotas.used()
    room_id, events = await fill(alice, bob)
    there = await left_of(server, room_id, events)
    assert {"events", "memberships", "room_aliases", "published_rooms", "receipts", "account_data"} <= set(
        there
    )
    assert {"reports", "event_relations", "event_transactions", "rooms", "typing"} <= set(there)
    assert await nodes(server) > before
    begun = await admin.request("DELETE", f"{V2}/{room_id}", {})
    status = await ended(admin, begun["delete_id"])
    assert status["status"] == "complete", status
    assert status["room_id"] == room_id
    assert status["shutdown_room"] == {
        "kicked_users": sorted([alice.user_id, bob.user_id]),
        "failed_to_kick_users": [],
        "local_aliases": ["#doomed:test.example"],
        "new_room_id": None,
    }
    assert await left_of(server, room_id, events) == {}
    assert await nodes(server) == before
    # Reports count as made, whatever becomes of them.
    assert {**await quotas.used(), Kind.REPORTS: 0} == used
    assert (await get(admin, f"{V2}/{room_id}/delete_status"))["results"] == [status]
    await get(admin, f"{V1}/{room_id}", status=404)
    await alice.get(f"/rooms/{room_id}/messages?dir=b", status=403)
    await alice.get("/directory/room/%23doomed:test.example", status=404)
    synced = await alice.get("/sync")
    assert set(synced["rooms"].get("join", {})) == {kept}
    assert "leave" not in synced["rooms"]
    await say(alice, kept, "others go on")
    assert await get(admin, f"{V1}/{room_id}/block") == {"block": False}
    assert status["shutdown_room"] == (await ended(admin, begun["delete_id"]))["shutdown_room"]


async def test_users_are_moved(server: Homeserver, admin: Client, alice: Client) -> None:
    bob = await server.register("bob")
    room_id, events = await fill(alice, bob)
    body = {"new_room_user_id": admin.user_id, "room_name": "Gone", "message": "Why", "block": True}
    done = await admin.request("DELETE", f"{V1}/{room_id}", body)
    new = done["new_room_id"]
    assert done["kicked_users"] == sorted([alice.user_id, bob.user_id])
    assert (await alice.get(f"/rooms/{new}/state/m.room.name"))["name"] == "Gone"
    page = await bob.get(f"/rooms/{new}/messages?dir=b")
    assert "Why" in [event["content"].get("body") for event in page["chunk"]]
    await bob.put(f"/rooms/{new}/send/m.room.message/1", {"body": "x", "msgtype": "m.text"}, status=403)
    assert (await bob.get("/directory/room/%23doomed:test.example"))["room_id"] == new
    assert await left_of(server, room_id, events) == {}
    await alice.post(f"/join/{room_id}", {}, status=403)
    assert (await get(admin, f"{V1}/{room_id}/block"))["user_id"] == admin.user_id


async def test_without_a_purge_only_the_users_are_gone(
    server: Homeserver, admin: Client, alice: Client
) -> None:
    room_id = await make(alice, name="a")
    await admin.request("DELETE", f"{V1}/{room_id}", {"purge": False})
    assert (await get(admin, f"{V1}/{room_id}"))["joined_members"] == 0
    assert (await alice.get("/joined_rooms"))["joined_rooms"] == []
    await admin.request("DELETE", f"{V1}/{room_id}", {})
    await get(admin, f"{V1}/{room_id}", status=404)


async def test_what_is_refused(admin: Client, alice: Client) -> None:
    room_id = await make(alice)
    nothing = "!nothing:test.example"
    begun = await admin.request("DELETE", f"{V2}/{nothing}", {})
    assert (await ended(admin, begun["delete_id"]))["status"] == "complete"
    await admin.request("DELETE", f"{V1}/{nothing}", {}, status=400)
    await admin.request("DELETE", f"{V1}/{nothing}", {"block": True})
    assert (await get(admin, f"{V1}/{nothing}/block"))["block"]
    await admin.request("DELETE", f"{V2}/{room_id}", {"purge": "yes"}, status=400)
    await admin.request("DELETE", f"{V2}/{room_id}", {"new_room_user_id": "@x:other.example"}, status=400)
    await alice.request("DELETE", f"{V2}/{room_id}", {}, status=403)
    await get(admin, f"{V2}/{room_id}/delete_status", status=404)
    await get(admin, f"{V2}/delete_status/nothing", status=404)


class CutShort(Exception):
    """The process was killed."""


class Killed(Step):
    """A step of a process that is killed after so many of its units of work."""

    left = 0

    async def write_counting(self, unit: Any, checkpoint: Any, progress: Any) -> Any:
        if self.left == 0:
            raise CutShort
        self.left -= 1
        return await super().write_counting(unit, checkpoint, progress)


@pytest.mark.parametrize("batch", [3, 1000])
async def test_it_goes_on_wherever_it_is_cut_short(
    server: Homeserver, alice: Client, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room_deletion, "BATCH", batch)
    monkeypatch.setattr(room_deletion, "USERS_AT_ONCE", 1)
    bob = await server.register("bob")
    before = await nodes(server)
    room_id, events = await fill(alice, bob)
    deletion: RoomDeletion = server.services.administration.room_deletion
    services = server.services.server
    job = await begun(server, room_id, monkeypatch)
    cuts = 0
    while True:
        step = Killed(services.db, services.clock, job)
        step.left = 1
        try:
            await deletion.run(step)
        except CutShort:
            cuts += 1
            job = await services.jobs.get(job.job_id)
            assert cuts < 500
            continue
        break
    assert cuts > 4
    assert await left_of(server, room_id, events) == {}
    assert await nodes(server) == before


async def begun(server: Homeserver, room_id: str, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A deletion that the test carries out, and not the server's worker."""

    async def nothing(worker: JobWorker) -> list[Job]:
        return []

    monkeypatch.setattr(JobWorker, "_due", nothing)
    services = server.services
    deletion = services.administration.room_deletion
    job = await deletion.start(RoomId(room_id), DeletionWish(), by="@admin:test.example")
    move = partial(jobs.move, job_id=job.job_id, to=JobState.ACTIVE, now_ms=0)
    await services.server.db.write(move)
    return await services.server.jobs.get(job.job_id)


def test_every_table_is_deleted_from_or_has_a_reason() -> None:
    of_rooms = {table.name for table in metadata.sorted_tables if "room_id" in table.c}
    known = {*room_rows.TABLES, *room_rows.SPECIAL, *KEPT}
    assert of_rooms <= known


async def test_clients_that_were_offline_are_told_for_a_while(
    server: Homeserver, admin: Client, alice: Client
) -> None:
    bob = await server.register("bob")
    room_id, _ = await fill(alice, bob)
    since = {client.user_id: (await client.get("/sync"))["next_batch"] for client in (alice, bob)}
    sliding = {
        "conn_id": "a",
        "lists": {"a": {"ranges": [[0, 9]], "timeline_limit": 1, "required_state": []}},
    }
    path = "/client/unstable/org.matrix.simplified_msc3575/sync"
    pos = (await alice.request("POST", path, sliding))["pos"]
    await bob.post(f"/rooms/{room_id}/leave", {})
    await admin.request("DELETE", f"{V1}/{room_id}", {"message": "x"})
    for client in (alice, bob):
        synced = await client.get(f"/sync?since={since[client.user_id]}")
        assert "join" not in synced.get("rooms", {})
        if client is bob:
            continue
        (event,) = synced["rooms"]["leave"][room_id]["timeline"]["events"]
        assert (event["state_key"], event["content"]["membership"]) == (client.user_id, "leave")
        again = await client.get(f"/sync?since={synced['next_batch']}")
        assert "leave" not in again.get("rooms", {})
    assert room_id in (await alice.request("POST", f"{path}?pos={pos}", sliding))["rooms"]
    for path in ("messages?dir=b", "members", "state", "joined_members"):
        await alice.get(f"/rooms/{room_id}/{path}", status=403)
    assert (await alice.get("/joined_rooms"))["joined_rooms"] == []
    filter_ = '{"room":{"include_leave":true}}'
    assert room_id in (await alice.get("/sync", params={"filter": filter_}))["rooms"]["leave"]
    await alice.post(f"/rooms/{room_id}/forget", {})
    assert "leave" not in (await alice.get("/sync", params={"filter": filter_})).get("rooms", {})
    server.clock.advance(JOB_MS + 1)
    await Sweeper(server.services.server.db, server.clock).sweep()
    found = await server.services.server.db.read(
        partial(departures.members_after, room_id=room_id, user_id="", limit=9)
    )
    assert found == []
    synced = await alice.get(f"/sync?since={since[alice.user_id]}")
    assert "leave" not in synced.get("rooms", {})


@pytest.mark.one_database
async def test_members_elsewhere_see_that_everybody_here_has_left(tmp_path: Path) -> None:
    town = Town.of(tmp_path, "one.example", "two.example")
    admins = ["@admin:one.example"]
    async with town.homeserver("one.example", admins=admins) as one, town.homeserver("two.example") as two:
        admin, alice, bob = (
            await one.register("admin"),
            await one.register("alice"),
            await two.register("bob"),
        )
        room_id = await make(alice, preset="public_chat")
        await bob.post(f"/join/{room_id}?server_name=one.example", {})
        since = (await bob.get("/sync"))["next_batch"]
        await admin.request("DELETE", f"{V1}/{room_id}", {})
        seen: list[Any] = []
        async with asyncio.timeout(60):
            while not seen:
                synced = await bob.get(f"/sync?since={since}&timeout=10000")
                since = synced["next_batch"]
                news = synced.get("rooms", {}).get("join", {}).get(room_id, {"timeline": {"events": []}})
                events = news["timeline"]["events"]
                seen = [event["content"] for event in events if event.get("state_key") == alice.user_id]
        assert [content["membership"] for content in seen] == ["leave"]
        await say(bob, room_id, "alone")
        await get(admin, f"{V1}/{room_id}", status=404)
