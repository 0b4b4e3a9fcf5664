"""Writes that wait are sent in order, and before anything could tell that they waited."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    ForeignKey,
    MetaData,
    Table,
    bindparam,
    delete,
    exists,
    func,
    insert,
    select,
    union_all,
    update,
)

from palpo.db.compiled import Compiled
from palpo.db.deferred import Batch, DeferredWrites
from palpo.db.statements import Statement, in_list, insert_row, upsert
from palpo.db.tables.meta import identifier, integer

metadata = MetaData()
rooms = Table("rooms", metadata, Column("id", identifier(), primary_key=True), Column("head", integer()))
room_names = Table(
    "room_names", metadata, Column("id", identifier(), ForeignKey("rooms.id"), primary_key=True)
)
DIALECTS = ("postgresql", "mysql")
KEY = rooms.c.id == bindparam("key")
ROOM, NAME = Statement(select(rooms.c.head).where(KEY)), Statement(select(room_names.c.id))


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
    await sent.writes.send_for(NAME.compiled(dialect))
    assert sent.log == []
    await sent.writes.send_for(ROOM.compiled(dialect))
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


def waits(compiled: Compiled) -> bool:
    return Sent().writes.add(compiled, [[]])


@pytest.mark.parametrize("dialect", DIALECTS)
def test_only_writes_that_read_no_table_wait(dialect: str) -> None:
    other = rooms.c.id.in_(select(room_names.c.id))
    itself = rooms.c.head < select(func.max(rooms.c.head)).scalar_subquery()

    for waiting in (update(rooms).where(KEY).values(head=1), delete(rooms).where(KEY), delete(rooms)):
        assert waits(Statement(waiting).compiled(dialect))
    for immediate in (
        delete(rooms).where(other),
        update(rooms).where(rooms.c.id == room_names.c.id).values(head=1),
        delete(rooms).where(itself),
        select(rooms.c.id),
    ):
        assert not waits(Statement(immediate).compiled(dialect))


def joined() -> Any:
    other = rooms.alias("other")
    return select(room_names.c.id).join(other, other.c.id == room_names.c.id)


def counted() -> Any:
    heads = select(rooms.c.head).where(in_list(rooms.c.id, "ids")).cte("heads")
    return select(func.count(heads.c.head))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("statement", "reads"),
    [
        (select(rooms.c.id), {"rooms"}),
        (joined(), {"rooms", "room_names"}),
        (counted(), {"rooms"}),
        (select(func.count()).select_from(room_names.outerjoin(rooms)), {"rooms", "room_names"}),
        (union_all(select(rooms.c.id), select(room_names.c.id)), {"rooms", "room_names"}),
        (select(rooms.c.id).where(~exists().where(room_names.c.id == rooms.c.id)), {"rooms", "room_names"}),
        (select(rooms.c.id, select(func.count(room_names.c.id)).scalar_subquery()), {"rooms", "room_names"}),
    ],
)
def test_a_statement_knows_what_it_reads(dialect: str, statement: Any, reads: set[str]) -> None:
    compiled = Statement(statement).compiled(dialect)
    assert compiled.reads == compiled.tables == reads
    assert compiled.writes is None


@pytest.mark.parametrize("dialect", DIALECTS)
def test_and_what_it_writes(dialect: str) -> None:
    taken = insert(rooms).from_select(["id"], select(room_names.c.id))
    assert Statement(taken).compiled(dialect).writes == "rooms"
    assert Statement(taken).compiled(dialect).tables == {"rooms", "room_names"}
    for statement in (insert_row(rooms), upsert(rooms, key=["id"]), upsert(rooms, key=["id"], update=())):
        compiled = statement.compiled(dialect)
        assert (compiled.writes, compiled.reads, compiled.tables) == ("rooms", frozenset(), {"rooms"})
