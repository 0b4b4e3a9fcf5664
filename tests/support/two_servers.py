"""Homeservers in processes of their own, ours and Synapse, that find each other by a port in their name."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from palpo_complement.checkout import cache_directory

from palpo.core.canonical_json import to_json
from tests.support.authority import Authority
from tests.support.process import ANSWER_SECONDS, LOST, START_SECONDS, free_port

STOP_SECONDS = 30.0


class Neighbour:
    """One of them: ``name`` is what others know it by, ``url`` is for its users."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        folder.mkdir()
        self.folder = folder
        self.port, self.federation_port = free_port(), free_port()
        self.name = f"localhost:{self.federation_port}"
        self.url = f"http://127.0.0.1:{self.port}"
        self.authority = authority
        self.certificate, self.key = authority.files("localhost")
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """What runs it."""
        raise NotImplementedError

    @property
    def log(self) -> str:
        """Everything that it has printed."""
        return (self.folder / "server.log").read_text()

    async def start(self) -> None:
        """Run it, and wait until it answers."""
        with (self.folder / "server.log").open("ab") as log:
            self._process = await asyncio.to_thread(
                subprocess.Popen,
                self.command(),
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=self._environment(),
            )
        deadline = time.monotonic() + START_SECONDS
        async with httpx.AsyncClient(timeout=ANSWER_SECONDS) as http:
            while time.monotonic() < deadline:
                assert self._process.poll() is None, self.log
                try:
                    if (await http.get(f"{self.url}/_matrix/client/versions")).status_code == 200:
                        return
                except LOST:
                    await asyncio.sleep(0.05)
        raise AssertionError(f"no answer in {START_SECONDS} s: {self.log}")

    async def stop(self) -> None:
        """Ask it to stop, and wait until it has."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(process.wait, STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()

    def _environment(self) -> Mapping[str, str]:
        return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}


class Palpo(Neighbour):
    """Ours."""

    more = ""
    """Settings for its configuration."""

    def command(self) -> list[str]:
        file = self.folder / "palpo.toml"
        file.write_text(f"""
server_name = {_quoted(self.name)}
data = {_quoted(self.folder / "data")}
rate_limits.enabled = false
registration.open = true
password.time_cost = 1
password.memory_kib = 8
network.allow = ["127.0.0.0/8", "::1/128"]
federation.ca_file = {_quoted(self.authority.file)}
{self.more}
[[listeners]]
bind = "127.0.0.1:{self.port}"
[[listeners]]
bind = "127.0.0.1:{self.federation_port}"
tls_certificate = {_quoted(self.certificate)}
tls_key = {_quoted(self.key)}
""")
        return [sys.executable, "-m", "palpo.cli.main", "serve", "--config", str(file)]


class Synapse(Neighbour):
    """The one that most servers are, where the laboratory has installed it for a run of pairs."""

    @staticmethod
    def python() -> Path:
        """The interpreter that has it; skips the test where there is none."""
        found = sorted((cache_directory(os.environ) / "recipes").glob("synapse-*/complete"))
        if not found:
            pytest.skip("not run: Synapse is not installed (make pairs installs it)")
        return found[-1].parent / "bin" / "python"

    def command(self) -> list[str]:
        file = self.folder / "homeserver.yaml"
        if not file.exists():
            logs = self.folder / "log.yaml"
            handlers = {"console": {"class": "logging.StreamHandler"}}
            root = {"level": "WARNING", "handlers": ["console"]}
            logs.write_text(json.dumps({"version": 1, "handlers": handlers, "root": root}))
            # JSON is YAML.
            file.write_text(json.dumps(self._settings(logs)))
            generate = [
                str(self.python()),
                "-m",
                "synapse._scripts.generate_signing_key",
                "-o",
                "signing.key",
            ]
            subprocess.run(generate, check=True, cwd=self.folder)
        return [str(self.python()), "-m", "synapse.app.homeserver", "-c", str(file)]

    def _environment(self) -> Mapping[str, str]:
        return os.environ

    def _settings(self, logs: Path) -> dict[str, object]:
        listener = {"bind_addresses": ["127.0.0.1"], "type": "http"}
        fast = {"per_second": 9999, "burst_count": 9999}
        return {
            "server_name": self.name,
            "pid_file": str(self.folder / "pid"),
            "listeners": [
                listener | {"port": self.port, "resources": [{"names": ["client"]}]},
                listener
                | {"port": self.federation_port, "tls": True, "resources": [{"names": ["federation"]}]},
            ],
            "tls_certificate_path": str(self.certificate),
            "tls_private_key_path": str(self.key),
            "federation_custom_ca_list": [str(self.authority.file)],
            "ip_range_blacklist": [],
            "federation_ip_range_blacklist": [],
            "federation": {"destination_min_retry_interval": "1s", "destination_max_retry_interval": "2s"},
            "trusted_key_servers": [],
            "suppress_key_server_warning": True,
            "report_stats": False,
            "database": {"name": "sqlite3", "args": {"database": str(self.folder / "homeserver.db")}},
            "log_config": str(logs),
            "media_store_path": str(self.folder / "media"),
            "signing_key_path": str(self.folder / "signing.key"),
            "macaroon_secret_key": secrets.token_hex(16),
            "form_secret": secrets.token_hex(16),
            "enable_registration": True,
            "enable_registration_without_verification": True,
            "bcrypt_rounds": 4,
            "rc_message": fast,
            "rc_registration": fast,
            "rc_login": {"address": fast, "account": fast, "failed_attempts": fast},
            "rc_joins": {"local": fast, "remote": fast},
            "rc_joins_per_room": fast,
            "rc_invites": {"per_room": fast, "per_user": fast, "per_issuer": fast},
            "rc_key_requests": fast,
        }


def _quoted(value: object) -> str:
    return to_json(str(value)).decode()
