"""One statement, three dialects."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from sqlalchemy import Column, MetaData, Table, bindparam, select

import palpo
from palpo.db.postgresql_writes import BulkInsert, combined, single_statement
from palpo.db.statements import DIALECTS, Statement, in_list, insert_row, upsert
from palpo.db.tables.meta import identifier, integer

things = Table(
    "things", MetaData(), Column("id", identifier(), primary_key=True), Column("number", integer())
)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_missing_parameter_is_an_error(dialect: str) -> None:
    compiled = insert_row(things).compiled(dialect)

    assert compiled.arguments({"number": 1, "id": "a"}) == ["a", 1]
    with pytest.raises(KeyError):
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


def test_row_inserts_become_one_statement_on_postgresql() -> None:
    insert = BulkInsert.of(insert_row(things).compiled("postgresql").sql)
    put = BulkInsert.of(upsert(things, key=["id"]).compiled("postgresql").sql)

    assert insert is not None
    assert put is not None
    assert insert.sql == "INSERT INTO things (id, number) SELECT * FROM unnest($1::VARCHAR[], $2::BIGINT[])"
    assert put.sql.endswith("ON CONFLICT (id) DO UPDATE SET number = excluded.number")
    assert not insert.repeats_a_key([["a", 1], ["a", 2]])
    assert put.repeats_a_key([["a", 1], ["a", 2]])
    assert not put.repeats_a_key([["a", 1], ["b", 1]])


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE things SET number=$1::BIGINT",
        "INSERT INTO things (id, number) VALUES ($2::VARCHAR, $1::BIGINT)",
        "INSERT INTO things (id) VALUES ($1::VARCHAR) ON CONFLICT (id) DO UPDATE SET number = $2::BIGINT",
        "INSERT INTO things (id) VALUES (lower($1::VARCHAR))",
    ],
)
def test_other_statements_are_left_as_they_are(sql: str) -> None:
    assert BulkInsert.of(sql) is None


def test_statements_of_different_tables_become_one() -> None:
    put = upsert(things, key=["id"]).compiled("postgresql").sql
    many = single_statement(put, [["a", 1], ["b", 2]])
    one = single_statement("UPDATE others SET n=$1::BIGINT, m=$1::BIGINT WHERE id = $2::VARCHAR", [[7, "c"]])
    last = single_statement("DELETE FROM more WHERE id = $1::VARCHAR", [["d"]])
    assert many is not None
    assert one is not None
    assert last is not None

    assert combined([one]) == one
    sql, arguments = combined([many, one, last])
    assert sql == (
        f"WITH w0 AS ({many[0]}), "
        "w1 AS (UPDATE others SET n=$3::BIGINT, m=$3::BIGINT WHERE id = $4::VARCHAR) "
        "DELETE FROM more WHERE id = $5::VARCHAR"
    )
    assert arguments == [("a", "b"), (1, 2), 7, "c", "d"]


def test_what_one_statement_cannot_do_stays_several() -> None:
    put = upsert(things, key=["id"]).compiled("postgresql").sql
    assert single_statement(put, [["a", 1], ["a", 2]]) is None
    assert single_statement("DELETE FROM more WHERE id = $1::VARCHAR", [["a"], ["b"]]) is None


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
