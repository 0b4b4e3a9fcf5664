"""The schema is one, whichever way a database came to it."""

from __future__ import annotations

import ast
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select, text

from palpo.db.errors import DatabaseError
from palpo.db.migrations import HEAD
from palpo.db.migrations.connection import on_connection
from palpo.db.migrations.differences import differences
from palpo.db.migrations.rows import INITIAL_ROWS
from palpo.db.migrations.steps import upgrade_from_nothing
from palpo.db.migrations.upgrade import current, upgrade
from palpo.db.tables import metadata


def initial_rows(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    return {
        name: [dict(row._mapping) for row in connection.execute(select(metadata.tables[name]))]
        for name in INITIAL_ROWS
    }


def test_a_new_database_is_as_declared(empty_database_url: str) -> None:
    upgrade(empty_database_url)

    assert on_connection(empty_database_url, differences) == []
    assert on_connection(empty_database_url, initial_rows) == INITIAL_ROWS
    assert current(empty_database_url) == HEAD


def test_the_revisions_lead_to_the_declared_tables(empty_database_url: str) -> None:
    on_connection(empty_database_url, upgrade_from_nothing)

    assert on_connection(empty_database_url, differences) == []
    assert on_connection(empty_database_url, initial_rows) == INITIAL_ROWS
    assert current(empty_database_url) == HEAD


def test_upgrading_again_changes_nothing(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    on_connection(empty_database_url, lambda c: c.execute(text("UPDATE stream_position SET position = 7")))
    upgrade(empty_database_url)

    assert on_connection(empty_database_url, initial_rows) == {"stream_position": [{"id": 1, "position": 7}]}


def test_several_processes_may_start_at_once(empty_database_url: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(upgrade, [empty_database_url] * 4))

    assert on_connection(empty_database_url, differences) == []
    assert on_connection(empty_database_url, initial_rows) == INITIAL_ROWS


def test_a_database_of_a_newer_release_is_refused(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    on_connection(
        empty_database_url, lambda c: c.execute(text("UPDATE alembic_version SET version_num = '9999_later'"))
    )

    with pytest.raises(DatabaseError, match="9999_later"):
        upgrade(empty_database_url)


def test_the_check_at_start_does_not_import_alembic(tmp_path: Path) -> None:
    upgrade(f"sqlite:///{tmp_path / 'palpo.db'}")
    code = f"""if True:
        import sys
        from palpo.db.migrations.start import bring_up_to_date
        bring_up_to_date("sqlite:///{tmp_path / "palpo.db"}")
        print('alembic' in sys.modules)"""

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ast.literal_eval(done.stdout) is False
