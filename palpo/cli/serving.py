"""Runs the application on an HTTP engine until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from structlog.typing import Processor

from palpo.api.listeners import ListenerApp
from palpo.app import application
from palpo.cli import systemd
from palpo.cli.command_server import serving_commands
from palpo.cli.engines.listening import Listening
from palpo.cli.lifetime import Lifetime
from palpo.cli.log_writer import LogWriter
from palpo.cli.logs import start_log_writer
from palpo.cli.memory import bound_allocator, settle_collector
from palpo.config.certificates import Certificates
from palpo.config.model import Config
from palpo.config.sources import ConfigSource
from palpo.services.server.recent import RecentLines


def run(config: Config, source: ConfigSource) -> bool:
    """Serve on uvloop, with a log that never makes the loop wait; see ``serve``.

    ``source`` gives the configuration as it is at a reload. Returns whether the server is to start anew
    (``start_anew``). Raises ConfigError.
    """
    import uvloop

    # Those that systemd has opened go with this process; it opens them for the next.
    can_start_anew = not os.environ.get("LISTEN_FDS")
    bound_allocator()
    certificates = Certificates(config)
    with _reported(config) as report:
        lines = RecentLines()
        log = start_log_writer(config.log, report=report, keep=lines.keep)
        lifetime = Lifetime(config, log, certificates)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(config, source, lifetime, certificates, log, lines))
        lifetime.stopped()
        log.drain()
    return lifetime.again and can_start_anew


def start_anew() -> NoReturn:
    """Become the same command once more, in the same process: whoever started it sees no end of it."""
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


@contextmanager
def _reported(config: Config) -> Iterator[Processor | None]:
    """What reports errors, if that is wanted; its library is not loaded otherwise."""
    if not config.sentry.dsn:
        yield None
        return
    from palpo.cli.error_reports import error_reports

    reports = error_reports(config.sentry, config.server_name)
    try:
        yield reports
    finally:
        reports.close()


def ignore_hangups() -> None:
    """Keep a SIGHUP that comes before the server runs from ending it."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


async def serve(
    config: Config,
    source: ConfigSource,
    lifetime: Lifetime,
    certificates: Certificates,
    log: LogWriter,
    lines: RecentLines,
) -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests that are under way.

    Raises ConfigError for a listener that cannot be had, before anything else is begun.
    """
    lifetime.handle_signals()
    listening = Listening(config, certificates)
    try:
        async with systemd.watched(), application(config) as app:
            log.register(app.registry)
            lifetime.on_stop.append(app.services.server.wakeups.close)
            app.services.server.recent.lines = lines
            app.services.server.restarts.carried_out_by(lifetime.restart)
            lifetime.can_reload(app.services.server.live, source)
            app.services.server.live.check_next_start(listening.check)
            settle_collector()
            async with serving_commands(app.services, config.data):
                await listening.serve(lambda item: ListenerApp(app, item.parts), lifetime.listening)
    finally:
        listening.close()
