"""One statement, three dialects."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from sqlalchemy import Column, MetaData, Table, bindparam, delete, select, update

import palpo
from palpo.db.compiled import DIALECTS
from palpo.db.errors import ParameterError
from palpo.db.postgresql_writes import combined, single_statement
from palpo.db.statements import Statement, holds, in_list, insert_row, update_row, upsert
from palpo.db.tables.meta import identifier, integer

things = Table(
    "things", MetaData(), Column("id", identifier(), primary_key=True), Column("number", integer())
)
others = Table(
    "others",
    MetaData(),
    Column("id", identifier(), primary_key=True),
    Column("n", integer()),
    Column("m", integer()),
    Column("text", identifier()),
)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_missing_parameter_is_an_error(dialect: str) -> None:
    compiled = insert_row(things).compiled(dialect)

    assert compiled.arguments({"number": 1, "id": "a"}) == ["a", 1]
    with pytest.raises(ParameterError):
        compiled.arguments({"id": "a"})


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_constant_is_a_parameter_with_its_value(dialect: str) -> None:
    statement = Statement(
        select(things.c.id).where(things.c.number == 7, things.c.id == bindparam("id")).limit(5)
    )

    assert statement.compiled(dialect).arguments({"id": "a"})[:3] == [7, "a", 5]
    assert statement.compiled(dialect) is statement.compiled(dialect)


def test_lists_take_the_form_that_each_driver_knows() -> None:
    statement = Statement(select(things.c.number).where(in_list(things.c.id, "ids")))

    assert statement.compiled("sqlite").arguments({"ids": ["a", "é"]}) == ['["a","é"]']
    assert statement.compiled("postgresql").arguments({"ids": ["a"]}) == [["a"]]
    assert statement.compiled("mysql").arguments({"ids": ["a", "b"]}) == [("a", "b")]
    assert statement.compiled("mysql").arguments({"ids": []}) == [(None,)]


def test_what_bytes_hold_is_written_as_each_database_has_it() -> None:
    statement = Statement(select(things.c.id).where(holds(things.c.number, "a:")))

    assert "instr(things.number, X'613a') > 0" in statement.compiled("sqlite").sql
    assert "instr(things.number, X'613a') > 0" in statement.compiled("mysql").sql
    assert "position('\\x613a'::bytea IN things.number) > 0" in statement.compiled("postgresql").sql


def test_row_inserts_become_one_statement_on_postgresql() -> None:
    insert = insert_row(things).compiled("postgresql").bulk
    put = upsert(things, key=["id"]).compiled("postgresql").bulk
    add = upsert(things, key=["id"], update=()).compiled("postgresql").bulk

    assert insert is not None
    assert put is not None
    assert add is not None
    assert insert.compiled.sql == (
        "INSERT INTO things (id, number) SELECT given.id, given.number \n"
        "FROM unnest($1::TEXT[], $2::BIGINT[]) AS given(id, number)"
    )
    assert put.compiled.sql.endswith("ON CONFLICT (id) DO UPDATE SET number = excluded.number")
    assert add.compiled.sql.endswith("ON CONFLICT (id) DO NOTHING")
    twice, once = [["a", 1], ["a", 2]], [["a", 1], ["b", 1]]
    assert [bulk.repeats_a_key(twice) for bulk in (insert, put, add)] == [False, True, False]
    assert not put.repeats_a_key(once)


def test_what_many_rows_share_is_sent_once() -> None:
    insert = insert_row(others, fixed={"n": 1, "text": None}, same={"m": "id"}).compiled("postgresql")
    move = update_row(others, key="id", columns=["n", "m"]).compiled("postgresql")

    assert insert.sql.endswith("VALUES ($1::VARCHAR, 1, $1::BIGINT, NULL)")
    assert insert.bulk is not None
    assert insert.bulk.compiled.sql.endswith("FROM unnest($1::TEXT[]) AS given(id)")
    assert move.bulk is not None
    assert move.bulk.repeats_a_key([[1, 2, "a"], [3, 4, "a"]])
    assert single_statement(move, [[1, 2, "a"], [3, 4, "b"]]) == (
        move.bulk.compiled,
        [(1, 3), (2, 4), ("a", "b")],
    )


def test_statements_of_different_tables_become_one() -> None:
    put = upsert(things, key=["id"]).compiled("postgresql")
    both = Statement(
        update(others).where(others.c.id == bindparam("key")).values(n=bindparam("n"), m=bindparam("n"))
    ).compiled("postgresql")
    gone = Statement(delete(others).where(others.c.id == bindparam("key"), others.c.text != "100%"))
    many = single_statement(put, [["a", 1], ["b", 2]])
    one = single_statement(both, [[7, "c"]])
    last = single_statement(gone.compiled("postgresql"), [["d", "100%"]])
    assert many is not None
    assert one is not None
    assert last is not None

    assert combined([one]) == (both.sql, [7, "c"])
    sql, arguments = combined([many, one, last])
    assert sql == (
        f"WITH w0 AS ({many[0].sql}), "
        "w1 AS (UPDATE others SET n=$3::BIGINT, m=$3::BIGINT WHERE others.id = $4::VARCHAR) "
        "DELETE FROM others WHERE others.id = $5::VARCHAR AND others.text != $6::VARCHAR"
    )
    assert arguments == [("a", "b"), (1, 2), 7, "c", "d", "100%"]


def test_what_one_statement_cannot_do_stays_several() -> None:
    put = upsert(things, key=["id"]).compiled("postgresql")
    drop = Statement(delete(things).where(things.c.id == bindparam("key"))).compiled("postgresql")
    assert single_statement(put, [["a", 1], ["a", 2]]) is None
    assert single_statement(drop, [["a"], ["b"]]) is None


def test_db_reads_no_statement_with_regular_expressions() -> None:
    """What is to be known of a statement is known from its expression."""
    root = Path(palpo.__file__).parent / "db"
    using = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if (isinstance(node, ast.Import) and any(name.name in ("re", "regex") for name in node.names))
        or (isinstance(node, ast.ImportFrom) and node.module in ("re", "regex"))
    }
    assert using == {"migrations/revise.py", "wakeups.py"}


def test_no_code_outside_db_asks_which_database_it_is() -> None:
    """What operators write and read, the configuration and the command line, names databases."""
    root = Path(palpo.__file__).parent
    found = [
        f"{path.relative_to(root)}:{node.lineno}"
        for path in root.rglob("*.py")
        if path.relative_to(root).parts[0] not in ("db", "config", "cli")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if (isinstance(node, ast.Constant) and node.value in ("sqlite", "postgresql", "mysql", "mariadb"))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sqlalchemy.dialects"))
    ]

    assert found == []
