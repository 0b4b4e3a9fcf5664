"""What is known of rooms at a glance, on every database."""

from __future__ import annotations

from typing import Any

import pytest

from palpo.core.identifiers import RoomId
from palpo.db.engine import Database
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage import room_directory, room_summaries, rooms
from palpo.storage.room_summaries import ORDERS, Summary, Wanted
from palpo.storage.rooms import HeadRow

OLD, NEW = b"o" * 16, b"n" * 16
EMPTY = {"creator": "", "encryption": "", "join_rules": "", "guest_access": "", "history_visibility": ""}


def room(name: str) -> RoomId:
    return RoomId(f"!{name}:test.example")


def head(name: str, **more: Any) -> HeadRow:
    values = {"extremities": ("$a",), "state_root": OLD, **more}
    return HeadRow(room_id=room(name), version="11", create_event_id="$create", head=1, depth=1, **values)


def summary(name: str, **more: Any) -> Summary:
    values = {
        **EMPTY,
        "joined_members": 1,
        "joined_local_members": 1,
        "version": 11,
        "federatable": True,
        "state_events": 5,
        "name": name,
        "canonical_alias": "",
        **more,
    }
    return Summary(room_id=room(name), state_root=OLD, **values)


@pytest.fixture
async def filled(database: Database) -> Database:
    """Four rooms that have begun, of which three are known, one as it was, and one that has not."""

    async def unit(tx: WriteTransaction) -> None:
        for row in (head("a"), head("b_%"), head("c", state_root=NEW), head("new")):
            await rooms.add(tx, row)
        await rooms.add(tx, head("outlier", extremities=()))
        await room_summaries.put(
            tx,
            [
                summary("a", joined_members=3, canonical_alias="#über:test.example"),
                summary("b_%", joined_members=0, version=-1),
                summary("c", joined_members=2, federatable=False),
                summary("deleted"),
            ],
        )
        await room_directory.put(tx, room("a"), listed=True)

    await database.write(unit)
    return database


async def names(db: Database, wanted: Wanted, **how: Any) -> list[str]:
    how = {"order": "name", "backwards": False, "skipped": 0, "limit": 10, **how}
    found = await db.read(lambda tx: room_summaries.page(tx, wanted, **how))
    total = await db.read(lambda tx: room_summaries.total(tx, wanted))
    assert how["skipped"] + len(found) == total or how["limit"] < 10
    return [item.head.room_id[1:].partition(":")[0] for item in found]


async def test_orders(filled: Database) -> None:
    assert await names(filled, Wanted()) == ["a", "b_%", "c"]
    assert await names(filled, Wanted(), backwards=True) == ["c", "b_%", "a"]
    assert await names(filled, Wanted(), order="joined_members") == ["a", "c", "b_%"]
    assert await names(filled, Wanted(), order="version") == ["a", "c", "b_%"]
    assert await names(filled, Wanted(), order="federatable") == ["a", "b_%", "c"]
    assert await names(filled, Wanted(), order="public") == ["a", "b_%", "c"]
    assert await names(filled, Wanted(), skipped=1, limit=1) == ["b_%"]
    for order in ORDERS:
        assert len(await names(filled, Wanted(), order=order)) == 3


async def test_searches(filled: Database) -> None:
    assert await names(filled, Wanted(search="_%")) == ["b_%"]
    assert await names(filled, Wanted(search="ÜBER")) == ["a"]
    assert await names(filled, Wanted(search="!c:")) == ["c"]
    assert await names(filled, Wanted(search="\0nothing")) == []
    assert await names(filled, Wanted(public=True)) == ["a"]
    assert await names(filled, Wanted(public=False, empty=False)) == ["c"]
    assert await names(filled, Wanted(empty=True)) == ["b_%"]


async def test_what_is_out_of_date(filled: Database) -> None:
    async def unit(tx: Transaction) -> tuple[set[str], set[str], list[str]]:
        missing = {row.room_id for row in await room_summaries.missing(tx, 10)}
        outdated = {row.room_id for row in await room_summaries.outdated(tx, 10)}
        some = await room_summaries.heads_of(tx, [room("a"), room("outlier")])
        return missing, outdated, [row.room_id for row in some]

    missing, outdated, some = await filled.read(unit)
    assert missing == {room("new")}
    assert outdated == {room("new"), room("c")}
    assert some == [room("a")]
