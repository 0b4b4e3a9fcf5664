"""Runs the application on an HTTP engine until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterable
from typing import Any

from palpo.api.observers import Observer
from palpo.app import application
from palpo.cli.log_writer import LogWriter
from palpo.cli.logs import start_log_writer
from palpo.config.loader import ConfigError
from palpo.config.model import Config


def run(config: Config, *, observers: Iterable[Observer] = ()) -> None:
    """Serve on uvloop, with a log that never makes the loop wait; see ``serve``."""
    import uvloop

    log = start_log_writer(config.log)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(config, log, observers=observers))


async def serve(config: Config, log: LogWriter, *, observers: Iterable[Observer] = ()) -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests that are under way."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with application(config, observers=observers) as app:
        log.register(app.registry)

        async def stopping() -> None:
            await stop.wait()
            app.services.wakeups.close()

        engine = _uvicorn if config.http.engine == "uvicorn" else _hypercorn
        await engine(app, config, stopping)


async def _hypercorn(app: Any, config: Config, stopping: Any) -> None:
    """Serve until ``stopping`` returns; raises ConfigError where a port or a certificate cannot be used."""
    from hypercorn.asyncio import serve as hypercorn_serve
    from hypercorn.config import Config as HypercornConfig

    settings = HypercornConfig()
    settings.graceful_timeout = config.http.shutdown_seconds
    settings.include_server_header = False
    settings.accesslog = None
    settings.errorlog = None
    settings.keep_alive_timeout = 75
    settings.h11_max_incomplete_size = 64 * 1024
    settings.backlog = 1024
    settings.insecure_bind = [item.bind for item in config.listeners if item.tls_certificate is None]
    secure = [item for item in config.listeners if item.tls_certificate is not None]
    settings.bind = [item.bind for item in secure]
    if secure:
        settings.certfile = str(secure[0].tls_certificate)
        settings.keyfile = str(secure[0].tls_key)
    else:
        settings.bind, settings.insecure_bind = settings.insecure_bind, []
    try:
        await hypercorn_serve(app, settings, shutdown_trigger=stopping, mode="asgi")
    except (
        OSError
    ) as error:  # Of a certificate too: what is asked of the network meanwhile does not end here.
        binds = ", ".join(item.bind for item in config.listeners)
        raise ConfigError(f"listeners: {binds}: {error.strerror}") from error


async def _uvicorn(app: Any, config: Config, stopping: Any) -> None:
    import uvicorn

    class Server(uvicorn.Server):
        def install_signal_handlers(self) -> None:
            """Signals are handled above."""

        def capture_signals(self) -> Any:
            from contextlib import nullcontext

            return nullcontext()

    servers = []
    for listener in config.listeners:
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
            ssl_certfile=listener.tls_certificate,
            ssl_keyfile=listener.tls_key,
            lifespan="off",
        )
        servers.append(Server(settings))
    async with asyncio.TaskGroup() as group:
        for server in servers:
            group.create_task(server.serve())
        await stopping()
        for server in servers:
            server.should_exit = True
