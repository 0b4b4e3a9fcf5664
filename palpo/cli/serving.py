"""Runs the application on an HTTP engine until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from ssl import SSLContext
from typing import Any

from palpo.api.listeners import ListenerApp
from palpo.api.observers import Observer
from palpo.app import application
from palpo.cli.lifetime import Lifetime
from palpo.cli.log_writer import LogWriter
from palpo.cli.logs import start_log_writer
from palpo.config.certificates import Certificates
from palpo.config.errors import ConfigError
from palpo.config.model import Config, Listener


def run(
    config: Config, *, reread: Callable[[], Config] | None = None, observers: Iterable[Observer] = ()
) -> None:
    """Serve on uvloop, with a log that never makes the loop wait; see ``serve``.

    ``reread`` gives the configuration as it is at a reload. Raises ConfigError.
    """
    import uvloop

    certificates = Certificates(config)
    log = start_log_writer(config.log)
    lifetime = Lifetime(config, log, certificates, reread or (lambda: config))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(config, lifetime, certificates, log, observers=observers))
    lifetime.stopped()


def ignore_hangups() -> None:
    """Keep a SIGHUP that comes before the server runs from ending it."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


async def serve(
    config: Config,
    lifetime: Lifetime,
    certificates: Certificates,
    log: LogWriter,
    *,
    observers: Iterable[Observer] = (),
) -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests that are under way."""
    lifetime.handle_signals()
    engine = _uvicorn if config.http.engine == "uvicorn" else _hypercorn
    async with application(config, observers=observers) as app:
        log.register(app.registry)
        lifetime.on_stop.append(app.services.wakeups.close)
        try:
            async with asyncio.TaskGroup() as group:
                for listener in config.listeners:
                    shown = ListenerApp(app, listener.parts)
                    context = certificates.context(listener)
                    group.create_task(engine(shown, config, listener, context, lifetime.listening))
        except* ConfigError as errors:
            failures = errors
        else:
            return
    raise first_of(failures)


def first_of(failures: BaseExceptionGroup[Exception]) -> Exception:
    """One of them, for whoever shows one."""
    first = failures.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first


async def _hypercorn(
    app: ListenerApp, config: Config, listener: Listener, context: SSLContext | None, stopping: Any
) -> None:
    """Serve until ``stopping`` returns; raises ConfigError where the address cannot be used."""
    from hypercorn.asyncio import serve as hypercorn_serve
    from hypercorn.config import Config as HypercornConfig

    class Settings(HypercornConfig):
        ssl_enabled = context is not None

        def create_ssl_context(self) -> SSLContext | None:
            if context is not None:
                context.set_alpn_protocols(self.alpn_protocols)
            return context

    settings = Settings()
    settings.graceful_timeout = config.http.shutdown_seconds
    settings.include_server_header = False
    settings.accesslog = None
    settings.errorlog = None
    settings.keep_alive_timeout = 75
    settings.h11_max_incomplete_size = 64 * 1024
    settings.backlog = 1024
    settings.bind = [listener.bind]
    try:
        await hypercorn_serve(app, settings, shutdown_trigger=stopping, mode="asgi")
    except OSError as error:
        raise ConfigError(f"listeners: {listener.bind}: {error.strerror}") from error


async def _uvicorn(
    app: ListenerApp, config: Config, listener: Listener, context: SSLContext | None, stopping: Any
) -> None:
    import uvicorn

    class Server(uvicorn.Server):
        def install_signal_handlers(self) -> None:
            """Signals are handled above."""

        def capture_signals(self) -> Any:
            return nullcontext()

        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            listening.set()

    listening = asyncio.Event()
    host, _, port = listener.bind.rpartition(":")
    settings = uvicorn.Config(
        app,
        host=host.strip("[]"),
        port=int(port),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=int(config.http.shutdown_seconds),
        lifespan="off",
    )
    settings.load()
    settings.ssl = context
    server = Server(settings)
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve())
        await listening.wait()
        await stopping()
        server.should_exit = True
