"""A Synapse on either of its databases, the server that takes its place, and the command between them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from tests.support.authority import Authority
from tests.support.databases import service_url
from tests.support.two_servers import Palpo, Synapse

PEPPER = "salt and pepper"
SECRET = "shared secret"
IMPORT_SECONDS = 600.0


class OldSynapse(Synapse):
    """Theirs, with what administrators can use."""

    def __init__(self, folder: Path, authority: Authority, *, database: str = "") -> None:
        """``database`` is the name of a PostgreSQL database; empty for a SQLite file."""
        super().__init__(folder, authority)
        self.database = database

    def _settings(self, logs: Path) -> dict[str, object]:
        fast = {"per_second": 9999, "burst_count": 9999}
        more: dict[str, object] = {
            "registration_shared_secret": SECRET,
            "password_config": {"pepper": PEPPER},
            "room_list_publication_rules": [{"action": "allow"}],
            "encryption_enabled_by_default_for_room_type": "off",
            "rc_reports": fast,
            "rc_room_creation": fast,
            "rc_media_create": fast,
            "refreshable_access_token_lifetime": "1h",
        }
        if self.database:
            parts = urlsplit(service_url("POSTGRESQL"))
            args = {
                "user": parts.username,
                "password": parts.password or "",
                "host": parts.hostname,
                "port": parts.port,
                "dbname": self.database,
                "cp_min": 2,
                "cp_max": 5,
            }
            more["database"] = {"name": "psycopg2", "args": args}
        return super()._settings(logs) | more

    @property
    def configuration(self) -> Path:
        """Its own."""
        return self.folder / "homeserver.yaml"


class NewPalpo(Palpo):
    """Ours, under the name and at the ports that the other one had."""

    def __init__(self, folder: Path, old: OldSynapse) -> None:
        super().__init__(folder, old.authority)
        self.name, self.port, self.federation_port = old.name, old.port, old.federation_port
        self.url = old.url
        self.more = f'password.pepper = "{PEPPER}"'
        self.command()  # It writes the configuration.

    @property
    def configuration(self) -> Path:
        """Its own."""
        return self.folder / "palpo.toml"

    def importing(self, old: OldSynapse, *more: str) -> subprocess.Popen[bytes]:
        """The command that imports, under way."""
        command = [sys.executable, "-m", "palpo.cli.main", "import", "synapse", str(old.configuration)]
        return subprocess.Popen(
            [*command, "--config", str(self.configuration), "--json", *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )

    async def imported(self, old: OldSynapse, *more: str) -> dict[str, Any]:
        """What the command says in the end, which has to be that all is well."""
        process = self.importing(old, *more)
        try:
            out, err = await asyncio.to_thread(process.communicate, None, IMPORT_SECONDS)
        finally:
            process.kill()
        assert out, err.decode()[-3000:]
        found: dict[str, Any] = json.loads(out)
        assert (process.returncode, found["differences"]) == (0, []), (found, err.decode()[-3000:])
        return found


def kill(process: subprocess.Popen[bytes]) -> None:
    """End it as a failing machine would."""
    process.send_signal(signal.SIGKILL)
    process.communicate()


async def make_database(name: str) -> None:
    """An empty database as Synapse wants it."""
    connection = await asyncpg.connect(service_url("POSTGRESQL"))
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await connection.execute(
            f"""CREATE DATABASE "{name}" ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"""
        )
    finally:
        await connection.close()


async def drop_database(name: str) -> None:
    """Take it away again."""
    connection = await asyncpg.connect(service_url("POSTGRESQL"))
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    finally:
        await connection.close()
