"""A server's life, as its operator sees it: the lines of its start, its reloads and its stop."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable

import msgspec
import structlog

from palpo import __version__
from palpo.cli import systemd
from palpo.cli.failures import without_password
from palpo.cli.log_writer import LogWriter
from palpo.cli.logs import set_level
from palpo.config.certificates import Certificates
from palpo.config.errors import ConfigError
from palpo.config.model import Config

log = structlog.get_logger("palpo.server")


class Lifetime:
    """From the start to the stop, which SIGTERM and SIGINT ask for; SIGHUP asks for a reload.

    ``reread`` gives the configuration as it is now, and raises ConfigError.
    """

    def __init__(
        self, config: Config, writer: LogWriter, certificates: Certificates, reread: Callable[[], Config]
    ) -> None:
        self._config = config
        self._writer = writer
        self._certificates = certificates
        self._reread = reread
        self._to_listen = len(config.listeners)
        self._stop = asyncio.Event()
        self._began = self._asked = time.monotonic()
        self.on_stop: list[Callable[[], None]] = []

    def handle_signals(self) -> None:
        """Take signals from now on."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop, number.name)
        loop.add_signal_handler(signal.SIGHUP, self.reload)

    async def listening(self) -> None:
        """To be awaited by each listener once it listens; returns when it is to stop."""
        self._to_listen -= 1
        if not self._to_listen:
            log.info(
                "started",
                version=__version__,
                server_name=self._config.server_name,
                listeners=[item.bind for item in self._config.listeners],
                database=without_password(self._config.database_url),
                data=str(self._config.data.absolute()),
                seconds=round(time.monotonic() - self._began, 3),
            )
            systemd.notify("READY=1")
        await self._stop.wait()

    def stop(self, reason: str) -> None:
        """Let ``listening`` return."""
        if self._stop.is_set():
            return
        self._asked = time.monotonic()
        log.info("stopping", reason=reason, after_seconds=round(self._asked - self._began, 3))
        systemd.notify("STOPPING=1")
        self._stop.set()
        for callback in self.on_stop:
            callback()

    def stopped(self) -> None:
        """Say so."""
        log.info("stopped", seconds=round(time.monotonic() - self._asked, 3))

    def reload(self) -> None:
        """Take over what can be changed while the server runs; what cannot be used changes nothing."""
        systemd.reloading()
        try:
            config = self._reread()
            self._certificates.reload()
            self._writer.reopen()
        except (ConfigError, OSError) as error:
            log.error("reload_failed", error=str(error))
        else:
            set_level(config.log.level)
            log.info("reloaded", log_level=config.log.level, needs_restart=_changed(self._config, config))
        systemd.notify("READY=1")


def _changed(before: Config, after: Config) -> list[str]:
    """The settings that differ and are not taken over, but for the log's level."""
    return list(_differences(_plain(before), _plain(after), ""))


def _plain(config: Config) -> dict[str, object]:
    plain: dict[str, object] = msgspec.to_builtins(config, enc_hook=str)
    return plain


def _differences(before: dict[str, object], after: dict[str, object], prefix: str) -> list[str]:
    found = []
    for name, old in before.items():
        new = after[name]
        if isinstance(old, dict) and isinstance(new, dict) and old.keys() == new.keys():
            found += _differences(old, new, f"{prefix}{name}.")
        elif old != new and f"{prefix}{name}" != "log.level":
            found.append(f"{prefix}{name}")
    return found
