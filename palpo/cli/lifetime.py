"""A server's life, as its operator sees it: the lines of its start, its reloads and its stop."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable

import structlog

from palpo import __version__
from palpo.cli import systemd
from palpo.cli.failures import without_password
from palpo.cli.log_writer import LogWriter
from palpo.cli.logs import set_level
from palpo.config.certificates import Certificates
from palpo.config.errors import ConfigError
from palpo.config.live import Change, LiveConfig
from palpo.config.model import Config
from palpo.config.sources import ConfigSource

log = structlog.get_logger("palpo.server")


class Lifetime:
    """From the start to the stop, which SIGTERM and SIGINT ask for; SIGHUP asks for a reload."""

    def __init__(self, config: Config, writer: LogWriter, certificates: Certificates) -> None:
        self._config = config
        self._writer = writer
        self._certificates = certificates
        self._live: LiveConfig | None = None
        self._to_listen = len(config.listeners)
        self._stop = asyncio.Event()
        self._began = self._asked = time.monotonic()
        self.on_stop: list[Callable[[], None]] = []
        self.again = False
        """Whether the server is to start anew once it has stopped."""

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
        if self.again:
            systemd.reloading()  # To systemd it is the same process, which does not end.
        else:
            systemd.notify("STOPPING=1")
        self._stop.set()
        for callback in self.on_stop:
            callback()

    def restart(self) -> None:
        """Stop, to start anew."""
        if not self._stop.is_set():
            self.again = True
            self.stop("restart")

    def stopped(self) -> None:
        """Say so."""
        log.info("stopped", seconds=round(time.monotonic() - self._asked, 3))

    def can_reload(self, live: LiveConfig, source: ConfigSource) -> None:
        """Take the configuration that is in force from now on; a reload reads it from ``source``."""
        live.source = source
        live.check_first(self._certificates.reload)
        live.check_first(self._writer.reopen)
        live.listen(lambda config: set_level(config.log.level))
        live.told = self._reloaded
        self._live = live

    def reload(self) -> None:
        """Take over what can be changed while the server runs; what cannot be used changes nothing."""
        if self._live is None:
            return  # It has not begun, and has just read everything.
        systemd.reloading()
        try:
            self._live.reload()
        except (ConfigError, OSError) as error:
            log.error("reload_failed", error=str(error))
        systemd.notify("READY=1")

    def _reloaded(self, change: Change) -> None:
        level = self._config.log.level
        log.info("reloaded", log_level=level, changed=change.in_force, needs_restart=change.needs_restart)
