"""What deletes rooms, and what they were before, is taken by each database."""

from __future__ import annotations

from functools import partial
from typing import Any

from palpo.core.identifiers import RoomId, ServerName
from palpo.core.membership import LEAVE
from palpo.core.records.events import EventStatus
from palpo.core.records.jobs import Job, JobState
from palpo.core.state_tree import build
from palpo.db.engine import Database
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.services.administration.state_trees import delete_trees
from palpo.storage import (
    blocked_rooms,
    departures,
    history_purge,
    jobs,
    memberships,
    orphaned_nodes,
    room_lists,
    room_rows,
    room_summaries,
    state,
)
from palpo.storage.blocked_rooms import BlockedRoom
from palpo.storage.history_purge import BEGINNING, PastEvent
from palpo.storage.memberships import Member
from palpo.storage.outside_memberships import OutsideMembership
from palpo.storage.room_rows import EventRow, RowsOf

ROOM = "!r:a"
ROOT = b"0123456789abcdef"
KEYS: dict[type, list[Any]] = {int: [1, 2], str: ["a", "b"], bytes: [ROOT, ROOT]}


def past(number: int, *, is_state: bool) -> PastEvent:
    return PastEvent(
        event_id=f"${number}",
        place=number,
        position=number,
        sender="@u:a",
        is_state=is_state,
        ts=number,
        status=EventStatus.ACCEPTED,
        roots=(ROOT, ROOT, ROOT),
    )


async def test_rows_of_every_table_are_looked_for(database: Database) -> None:
    for rows in room_rows.TABLES.values():
        if isinstance(rows, RowsOf):
            find = partial(room_rows.find, rows=rows, room_id=ROOM, limit=10)
            assert await database.read(find) == []
            keys: list[Any] = KEYS[_kind(rows)]
            await database.write(partial(room_rows.remove, rows=rows, room_id=ROOM, some=keys))


def _kind(rows: RowsOf) -> type:
    column = next(column for column in rows.table.primary_key if column.name != "room_id")
    return column.type.python_type


async def test_what_deletes_a_room(database: Database) -> None:
    async def unit(tx: WriteTransaction) -> None:
        await room_rows.remove_room(tx, ROOM)
        await room_rows.remove_single(tx, ROOM)
        await room_rows.remove_events(tx, [EventRow(event_id="$1", chain=1, roots=(ROOT, ROOT, ROOT))])
        await room_rows.remove_roots(tx, ROOM, [1, 2])

    await database.write(unit)

    async def look(tx: Transaction) -> None:
        assert await room_rows.some_events(tx, ROOM, 10) == []
        assert await room_rows.some_roots(tx, ROOM, 10) == {}
        assert not await room_rows.has_events(tx, ROOM)
        assert await room_rows.present(tx, ROOM, ["join"], after="", limit=10) == []
        assert await room_summaries.heads_after(tx, "", 10) == []
        assert await room_lists.local_counts(tx, [ROOM]) == {}
        assert await room_lists.listed(tx, [ROOM]) == set()
        assert await room_lists.device_count(tx, ROOM) == 0
        assert await room_lists.is_forgotten(tx, ROOM)

    await database.read(look)


async def test_what_purges_history(database: Database) -> None:
    async def unit(tx: WriteTransaction) -> None:
        await history_purge.purge(tx, ROOM, [past(1, is_state=False)], [past(2, is_state=True)])
        await history_purge.prune(tx, "$3", b"{}")
        await history_purge.delete_roots(tx, ROOM, 5)

    await database.write(unit)

    async def look(tx: Transaction) -> None:
        assert await history_purge.after(tx, ROOM, BEGINNING, "", 10) == []
        assert await history_purge.newer(tx, ROOM, 0) == []
        assert await history_purge.first_since(tx, ROOM, 0) is None
        assert await history_purge.room_roots_of(tx, ROOM) == []
        assert await history_purge.messages_before(tx, ROOM, 10, 10) == set()

    await database.read(look)


async def test_blocked_rooms(database: Database) -> None:
    blocked = BlockedRoom(room_id=ROOM, user_id="@a:a", blocked_ts=1)
    later = BlockedRoom(room_id=ROOM, user_id="", blocked_ts=2)
    find = partial(blocked_rooms.get, room_id=ROOM)
    await database.write(lambda tx: blocked_rooms.put(tx, blocked))
    await database.write(lambda tx: blocked_rooms.add(tx, later))
    assert await database.read(find) == blocked
    await database.write(lambda tx: blocked_rooms.remove(tx, ROOM, by=""))
    assert await database.read(find) == blocked
    await database.write(lambda tx: blocked_rooms.put(tx, later))
    await database.write(lambda tx: blocked_rooms.remove(tx, ROOM, by=""))
    assert await database.read(find) is None


async def test_of_a_state_what_another_needs_stays(database: Database) -> None:
    entries = {("t", str(number)): f"${number}" for number in range(200)}
    one = build(entries)
    other = build({**entries, ("t", "7"): "$other"})
    both = one.new_nodes | other.new_nodes
    await database.write(lambda tx: state.insert_nodes(tx, both))
    assert await delete_trees(database, [one.root], without=other.new_nodes.keys())
    left = await database.read(lambda tx: state.load_nodes(tx, both))
    assert left == other.new_nodes
    assert await delete_trees(database, [other.root])
    assert await database.read(lambda tx: state.load_nodes(tx, both)) == {}


async def test_departures_are_kept_until_the_deletion_is_forgotten(database: Database) -> None:
    def departure(user_id: str) -> OutsideMembership:
        return OutsideMembership(
            room_id=RoomId(ROOM),
            user_id=user_id,
            event_id=f"${user_id}",
            room_version="11",
            server_name=ServerName("a"),
            pdu=b"{}",
        )

    async def unit(tx: WriteTransaction) -> None:
        position = await tx.positions()
        members = [
            Member(
                room_id=RoomId(ROOM),
                user_id=user_id,
                membership=LEAVE,
                event_id=f"${user_id}",
                sender=user_id,
                position=position,
                forgotten=True,
            )
            for user_id in ("@a:a", "@b:a", "@c:a")
        ]
        await memberships.put(tx, members)
        await departures.keep(tx, ROOM, [departure("@a:a"), departure("@b:a")])
        await departures.delete_outside(tx, ROOM, ["@b:a"])
        await departures.delete_members(tx, ROOM, ["@b:a", "@c:a"])
        await jobs.insert(tx, ended)

    ended = Job(
        job_id="1",
        kind="delete",
        target=ROOM,
        params={},
        requested_by="",
        state=JobState.COMPLETE,
        checkpoint=None,
        progress={},
        result=None,
        error="",
        created_ts=5,
        changed_ts=5,
    )
    await database.write(unit)
    outside = partial(departures.outside_after, room_id=ROOM, user_id="", limit=9)
    members = partial(departures.members_after, room_id=ROOM, user_id="", limit=9)
    for before_ts, left in ((5, ["@a:a"]), (6, [])):
        await database.write(partial(departures.forget, deletion="delete", before_ts=before_ts))
        assert list(await database.read(outside)) == await database.read(members) == left
        found = await database.read(partial(memberships.get, room_id=ROOM, user_id="@a:a"))
        assert found is None or not found.forgotten


async def test_nodes_that_are_set_aside_are_found_last(database: Database) -> None:
    nodes = build({("t", str(number)): f"${number}" for number in range(200)}).new_nodes
    first, second = sorted(nodes)[:2]
    await database.write(partial(state.insert_nodes, nodes=nodes))
    await database.write(partial(orphaned_nodes.set_aside, hashes=[first, second], now_ms=5))
    left = partial(orphaned_nodes.nodes_after, after=b"", limit=100)
    aside = partial(orphaned_nodes.aside_after, after=b"", limit=100)
    assert await database.read(left) == sorted(nodes)[2:]
    assert await database.read(aside) == {first: 5, second: 5}
    assert await database.read(partial(state.load_nodes, hashes=nodes)) == nodes
    await database.write(partial(orphaned_nodes.put_back, hashes=[first]))
    await database.write(partial(orphaned_nodes.forget, hashes=[second]))
    assert await database.read(aside) == {}
    assert await database.read(left) == sorted(nodes.keys() - {second})
    assert second not in await database.read(partial(state.load_nodes, hashes=nodes))
