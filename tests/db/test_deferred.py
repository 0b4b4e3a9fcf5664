"""Writes that wait are sent in order, and before anything could tell that they waited."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Column, MetaData, Table, bindparam, delete, select, update

from palpo.db.deferred import Batch, DeferredWrites, mentions, target
from palpo.db.statements import Statement, insert_row, upsert
from palpo.db.tables.meta import identifier, integer

metadata = MetaData()
rooms = Table("rooms", metadata, Column("id", identifier(), primary_key=True), Column("head", integer()))
room_names = Table("room_names", metadata, Column("id", identifier(), primary_key=True))
DIALECTS = ("postgresql", "mysql")


class Sent:
    """A transaction's server: what it was sent."""

    def __init__(self) -> None:
        self.log: list[tuple[str, list[list[Any]]]] = []
        self.together: list[int] = []
        self.writes = DeferredWrites(self.execute)

    async def execute(self, batches: Sequence[Batch]) -> None:
        self.together.append(len(batches))
        self.log += [(compiled.sql, rows) for compiled, rows in batches]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_one_statement_for_the_rows_of_many(dialect: str) -> None:
    sent, insert = Sent(), insert_row(rooms).compiled(dialect)
    for n in range(3):
        assert sent.writes.add(insert, [[f"{n}", n]])
    await sent.writes.send_for("SELECT id FROM room_names")
    assert sent.log == []
    await sent.writes.send_for("SELECT head FROM rooms WHERE id = 1")
    await sent.writes.send_all()

    assert sent.log == [(insert.sql, [["0", 0], ["1", 1], ["2", 2]])]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_the_statements_of_one_table_keep_their_order(dialect: str) -> None:
    sent = Sent()
    insert, put = insert_row(rooms).compiled(dialect), upsert(rooms, key=["id"]).compiled(dialect)
    names = insert_row(room_names).compiled(dialect)
    for compiled, rows in ((insert, ["a", 1]), (names, ["x"]), (put, ["a", 2]), (insert, ["b", 1])):
        sent.writes.add(compiled, [rows])
    await sent.writes.send_all()

    assert sent.log == [
        (names.sql, [["x"]]),
        (insert.sql, [["a", 1]]),
        (put.sql, [["a", 2]]),
        (insert.sql, [["b", 1]]),
    ]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_tables_with_one_batch_are_sent_together(dialect: str) -> None:
    sent = Sent()
    insert, names = insert_row(rooms).compiled(dialect), insert_row(room_names).compiled(dialect)
    for n in range(3):
        sent.writes.add(insert, [[f"{n}", n]])
        sent.writes.add(names, [[f"{n}"]])
    await sent.writes.send_all()

    assert sent.together == [2]
    assert [len(rows) for _, rows in sent.log] == [3, 3]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_only_statements_of_one_table_wait(dialect: str) -> None:
    key = rooms.c.id == bindparam("key")
    other = rooms.c.id.in_(select(room_names.c.id))

    def sql(statement: Any) -> str:
        return Statement(statement).compiled(dialect).sql

    assert target(sql(update(rooms).where(key).values(head=1))) == "rooms"
    assert target(sql(delete(rooms).where(key))) == "rooms"
    assert target(sql(delete(rooms).where(other))) is None
    assert target(sql(select(rooms.c.id))) is None


def test_a_name_within_another_is_not_it() -> None:
    assert mentions("SELECT * FROM rooms", "rooms")
    assert mentions('SELECT * FROM "rooms" AS r', "rooms")
    assert not mentions("SELECT * FROM published_rooms", "rooms")
    assert not mentions("SELECT * FROM rooms_2", "rooms")
