"""Every table that has users in it says what becomes of their rows."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import Table

from palpo.db.tables import metadata
from palpo.db.tables.kept import Until, kept

USERS = re.compile(r"(.*_)?(user_id|user|sender|creator|reporter|observer)")
"""Names of columns with users' IDs."""


def with_users(table: Table) -> bool:
    return any(USERS.fullmatch(column.name) for column in table.c)


def test_every_table_with_users_says_how_long_it_keeps_what_is_theirs() -> None:
    silent = {
        table.name for table in metadata.tables.values() if with_users(table) and "kept" not in table.info
    }
    assert silent == set(), "give these tables info=kept(…), see palpo/db/tables/kept.py"


def test_what_it_says_are_columns() -> None:
    for table in metadata.tables.values():
        if "kept" in table.info:
            of = table.info["kept"]
            said = table if of.parent is None else of.parent
            assert {of.user, of.device} - {None} <= set(said.c.keys())
            assert of.parent is None or {of.key} <= set(table.c.keys()) & set(said.c.keys())


def test_what_is_kept_always_has_a_reason() -> None:
    with pytest.raises(ValueError, match="reason"):
        kept(Until.ALWAYS)
    with pytest.raises(ValueError, match="reason"):
        kept(Until.ERASURE, why="It is theirs")
