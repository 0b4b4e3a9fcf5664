"""The homeservers, set up for federation: without limits, with TLS beside the clients' listener."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from pathlib import Path

import psutil
from palpo_complement import environment, recipe
from palpo_complement.process.launch import hosts_namespace

from bench.federation.town import Place, Town
from bench.side_by_side import servers
from bench.side_by_side.processes import Daemon
from bench.side_by_side.servers import Server
from tests.support.pairs import PORT

MIB = 1024 * 1024
SAMPLED_S = 0.25


class Palpo(servers.Palpo):
    """This project's server."""

    def __init__(self, folder: Path, database_url: str, town: Town, place: Place) -> None:
        super().__init__(folder, database_url)
        self.quick_passwords = True
        self.town, self.place = town, place

    def command(self) -> list[str | Path]:
        config = self.folder / "palpo.toml"
        config.write_text(
            f"server_name = {json.dumps(self.place.server_name)}\n"
            f"data = {json.dumps(str(self.folder / 'data'))}\n"
            f'[[listeners]]\nbind = "127.0.0.1:{self.port}"\n'
            f'[[listeners]]\nbind = "{self.place.address}:{PORT}"\n'
            f"tls_certificate = {json.dumps(str(self.place.certificate))}\n"
            f"tls_key = {json.dumps(str(self.place.key))}\n"
            f'[http]\nengine = "{self.engine}"\n'
            f"[database]\nurl = {json.dumps(self.database_url)}\n"
            "[rate_limits]\nenabled = false\n"
            "[registration]\nopen = true\n"
            '[log]\nlevel = "warning"\nrequests = false\n'
            "[password]\ntime_cost = 1\nmemory_kib = 8\n"
            '[rooms]\ndefault_version = "11"\n'
            '[network]\nallow = ["127.0.0.0/8"]\n'
            f"[federation]\nca_file = {json.dumps(str(self.town.authority.file))}\n"
            f"hosts_file = {json.dumps(str(self.town.hosts_file))}\n"
        )
        return [sys.executable, "-m", "palpo.cli.main", "serve", "--config", config]


class Synapse(servers.Synapse):
    """Synapse, from the environment that the laboratory installs for its recipe."""

    def __init__(self, folder: Path, database_url: str, town: Town, place: Place) -> None:
        super().__init__(folder, database_url)
        self.quick_passwords = True
        self.town, self.place = town, place

    home = Path()

    @property
    def python(self) -> Path:
        return self.home / "python"

    def install(self) -> None:
        """Done by ``installed``."""

    def command(self) -> list[str | Path]:
        prefix = hosts_namespace()
        if not prefix:
            raise RuntimeError(
                "Synapse finds others by /etc/hosts alone, and this kernel lets none be put over it"
            )
        return [*prefix, *super().command()]

    def environment(self) -> dict[str, str]:
        return {"SERVER_HOSTS": str(self.town.hosts_file)}

    def _settings(self, logs: Path) -> dict[str, object]:
        fast = {"per_second": 100_000, "burst_count": 100_000}
        settings = super()._settings(logs)
        listeners = settings["listeners"]
        assert isinstance(listeners, list)
        listeners.append(
            {
                "port": PORT,
                "bind_addresses": [self.place.address],
                "type": "http",
                "tls": True,
                "resources": [{"names": ["federation"]}],
            }
        )
        return settings | {
            "server_name": self.place.server_name,
            "default_room_version": "11",
            "tls_certificate_path": str(self.place.certificate),
            "tls_private_key_path": str(self.place.key),
            "federation_custom_ca_list": [str(self.town.authority.file)],
            "ip_range_blacklist": [],
            "federation_ip_range_blacklist": [],
            "rc_federation": {
                "window_size": 1000,
                "sleep_limit": 99_999,
                "sleep_delay": 1,
                "reject_limit": 99_999,
                "concurrent": 999,
            },
            "rc_presence": {"per_user": fast},
            "federation_rr_transactions_per_room_per_second": 9999,
        }


Federated = Palpo | Synapse
KINDS: dict[str, type[Palpo] | type[Synapse]] = {Palpo.name: Palpo, Synapse.name: Synapse}


async def install() -> None:
    """Have Synapse installed, if it is not yet."""
    path = await environment.search_path(recipe.load(Synapse.name), os.environ)
    Synapse.home = Path(path.partition(":")[0])


class Watch:
    """What a server takes while something is done: CPU seconds of its processes, and memory.

    Memory is PSS of the process and its children, in MiB: before, at most meanwhile, and after.
    """

    def __init__(self, server: Server) -> None:
        self._daemon = running(server)
        self.cpu = self.before = self.peak = self.after = 0.0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Watch:
        self.before = self.peak = memory_mib(self._daemon.pid)
        self.cpu = -self._daemon.cpu_seconds()
        self._task = asyncio.create_task(self._sample())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self.cpu += self._daemon.cpu_seconds()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self.after = memory_mib(self._daemon.pid)
        self.peak = max(self.peak, self.after)

    async def _sample(self) -> None:
        while True:
            await asyncio.sleep(SAMPLED_S)
            self.peak = max(self.peak, memory_mib(self._daemon.pid))


def running(server: Server) -> Daemon:
    """Its process."""
    assert server.daemon is not None
    return server.daemon


def memory_mib(pid: int) -> float:
    """PSS of a process and its children."""
    total = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                total += process.memory_full_info().pss
    return total / MIB
