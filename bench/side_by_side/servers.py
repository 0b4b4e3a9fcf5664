"""The homeservers that are compared: each sets itself up in a folder of its own."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from bench.side_by_side.processes import Daemon, free_port

SERVER_NAME = "bench.localhost"
ROOT = Path(__file__).resolve().parents[2]


class Server:
    """A homeserver in one process, with open registration and without rate limits."""

    name = ""

    def __init__(self, folder: Path, database_url: str) -> None:
        """``database_url`` is empty for SQLite."""
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.quick_passwords = False  # For accounts that are made before anything is measured.
        self.database_url = database_url
        self.port = free_port()
        self.daemon: Daemon | None = None

    def version(self) -> str:
        """What is measured."""
        raise NotImplementedError

    def data_version(self) -> str:
        """What tells whether data of an earlier run can be used again."""
        return self.version().rpartition(" ")[2]

    def command(self) -> list[str | Path]:
        """What runs it, once its configuration is written."""
        raise NotImplementedError

    async def start(self) -> None:
        """Run it until it listens."""
        self.daemon = Daemon(
            self.command(),
            log=self.folder.with_suffix(".log"),
            cwd=self.folder,
            environment=dict(os.environ) | self.environment(),
        )
        await self.daemon.until_listening(self.port, 120)

    def environment(self) -> dict[str, str]:
        """Variables beside the inherited ones."""
        return {}

    def stop(self) -> None:
        """End it."""
        if self.daemon is not None:
            self.daemon.stop()


class Palpo(Server):
    """This project's server, from a checkout."""

    name = "palpo"
    engine = "uvicorn"
    """What a listener in the clear runs on by default."""
    source = ROOT

    def version(self) -> str:
        git = ["git", "-C", str(self.source), "describe", "--always", "--dirty"]
        done = subprocess.run(git, capture_output=True, text=True, check=False)
        return f"Palpo {done.stdout.strip() or 'of an unknown commit'}"

    def data_version(self) -> str:
        digest = hashlib.sha256()
        for package in ("db", "storage"):
            for file in sorted((self.source / "palpo" / package).rglob("*.py")):
                digest.update(file.read_bytes())
        return digest.hexdigest()[:12]

    def environment(self) -> dict[str, str]:
        return {"PYTHONPATH": str(self.source)}

    def command(self) -> list[str | Path]:
        config = self.folder / "palpo.toml"
        config.write_text(
            f'server_name = "{SERVER_NAME}"\n'
            f"data = {json.dumps(str(self.folder / 'data'))}\n"
            f'[[listeners]]\nbind = "127.0.0.1:{self.port}"\n'
            f'[http]\nengine = "{self.engine}"\n'
            f"[database]\nurl = {json.dumps(self.database_url)}\n"
            "[rate_limits]\nenabled = false\n"
            "[registration]\nopen = true\n"
            '[log]\nlevel = "warning"\nrequests = false\n'
            + ("[password]\ntime_cost = 1\nmemory_kib = 8\n" if self.quick_passwords else "")
        )
        return [sys.executable, "-m", "palpo.cli.main", "serve", "--config", config]


class PalpoOnHypercorn(Palpo):
    """The same with the other HTTP engine."""

    engine = "hypercorn"


class Synapse(Server):
    """Synapse from PyPI, in a virtual environment of its own."""

    name = "synapse"
    home = ROOT / ".services" / "synapse"

    @property
    def python(self) -> Path:
        return self.home / "venv" / "bin" / "python"

    def install(self) -> None:
        """Install it, unless it is there already."""
        if self.python.exists() and self._runs():
            return
        print("bench: installing Synapse from PyPI", file=sys.stderr)
        self.home.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", str(self.python.parents[1])], check=True)
        # The binary driver is the same module; psycopg2 itself would need a compiler and pg_config.
        wanted = ["matrix-synapse", "psycopg2-binary"]
        subprocess.run([str(self.python), "-m", "pip", "install", "-q", *wanted], check=True)

    def _runs(self) -> bool:
        test = [str(self.python), "-c", "import synapse, psycopg2"]
        return subprocess.run(test, capture_output=True, check=False).returncode == 0

    def version(self) -> str:
        self.install()
        code = "import importlib.metadata as m; print(m.version('matrix-synapse'))"
        done = subprocess.run([str(self.python), "-c", code], capture_output=True, text=True, check=True)
        return f"Synapse {done.stdout.strip()}"

    def command(self) -> list[str | Path]:
        self.install()
        config = self.folder / "homeserver.yaml"
        logs = self.folder / "log.yaml"
        # JSON is YAML.
        config.write_text(json.dumps(self._settings(logs)))
        logs.write_text(
            json.dumps(
                {
                    "version": 1,
                    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
                    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
                    "root": {"level": "WARNING", "handlers": ["console"]},
                    "disable_existing_loggers": False,
                }
            )
        )
        start: list[str | Path] = [self.python, "-m", "synapse.app.homeserver", "-c", config]
        subprocess.run(
            [*start, "--generate-missing-configs"], check=True, cwd=self.folder, capture_output=True
        )
        return start

    def _settings(self, logs: Path) -> dict[str, object]:
        fast = {"per_second": 100_000, "burst_count": 100_000}
        return {
            "server_name": SERVER_NAME,
            "pid_file": str(self.folder / "pid"),
            "listeners": [
                {
                    "port": self.port,
                    "bind_addresses": ["127.0.0.1"],
                    "type": "http",
                    "tls": False,
                    "resources": [{"names": ["client", "federation"], "compress": False}],
                }
            ],
            "database": self._database(),
            "log_config": str(logs),
            "media_store_path": str(self.folder / "media"),
            "signing_key_path": str(self.folder / "signing.key"),
            "macaroon_secret_key": secrets.token_hex(16),
            "form_secret": secrets.token_hex(16),
            "registration_shared_secret": secrets.token_hex(16),
            "report_stats": False,
            "trusted_key_servers": [],
            "suppress_key_server_warning": True,
            "enable_registration": True,
            "enable_registration_without_verification": True,
            "rc_message": fast,
            "rc_registration": fast,
            "rc_login": {"address": fast, "account": fast, "failed_attempts": fast},
            "rc_joins": {"local": fast, "remote": fast},
            "rc_joins_per_room": fast,
            "rc_invites": {"per_room": fast, "per_user": fast, "per_issuer": fast},
            "rc_room_creation": fast,
            **({"bcrypt_rounds": 4} if self.quick_passwords else {}),
        }

    def _database(self) -> dict[str, object]:
        if not self.database_url:
            return {"name": "sqlite3", "args": {"database": str(self.folder / "synapse.db")}}
        url = urlsplit(self.database_url)
        where = {"host": url.hostname, "port": url.port, "user": url.username, "dbname": url.path[1:]}
        return {"name": "psycopg2", "args": {**where, "cp_min": 5, "cp_max": 10}}


SERVERS: dict[str, type[Server]] = {Palpo.name: Palpo, Synapse.name: Synapse}
ENGINES: dict[str, type[Palpo]] = {Palpo.engine: Palpo, PalpoOnHypercorn.engine: PalpoOnHypercorn}
BEFORE = "before"


def columns(servers: list[str], engine: str, before: Path | None) -> dict[str, type[Server]]:
    """What is measured, by its name in the table.

    ``engine`` is Palpo's, or "both"; ``before`` is another checkout of Palpo, measured beside this one.
    """
    found: dict[str, type[Server]] = {}
    for name in servers:
        if name == Palpo.name:
            chosen = ENGINES if engine == "both" else {engine: ENGINES[engine]}
            found |= {f"{name} ({key})": server for key, server in chosen.items()}
        else:
            found[name] = SERVERS[name]
    if before is not None:
        for column, server in list(found.items()):
            if issubclass(server, Palpo):
                found[f"{BEFORE}{column.removeprefix(Palpo.name)}"] = type(
                    f"{server.__name__}Before",
                    (server,),
                    {"source": before, "name": f"{BEFORE}-{Palpo.name}"},
                )
    return found
