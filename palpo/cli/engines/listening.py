"""All listeners, each on its engine."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from palpo.cli.engines.connections import Connections
from palpo.cli.engines.inherited import from_systemd
from palpo.cli.engines.on_hypercorn import HypercornServer
from palpo.cli.engines.on_uvicorn import UvicornServer
from palpo.cli.engines.sockets import bind
from palpo.config.certificates import Certificates
from palpo.config.model import Config
from palpo.config.sections.listeners import Listener
from palpo.streams.task_group import task_group

Server = UvicornServer | HypercornServer


class Listening:
    """The sockets of all listeners; they are bound when this is made, which raises ConfigError."""

    def __init__(self, config: Config, certificates: Certificates) -> None:
        self._config = config
        self._certificates = certificates
        self._connections = Connections(config.http)
        self._sockets: list[tuple[Listener, list[socket.socket]]] = []
        inherited = from_systemd()
        # The files of sockets that systemd has opened are its own.
        self._kept_files = inherited.paths()
        try:
            for listener in config.listeners:
                self._sockets.append((listener, bind(listener, config.listeners, inherited)))
            inherited.finish()
        except BaseException:
            inherited.close()
            self.close()
            raise

    def check(self, config: Config) -> None:
        """Raise ConfigError where listeners of ``config`` that there are not yet could not be had."""
        ours = {listener.bind for listener, _ in self._sockets}
        for listener in config.listeners:
            if listener.bind not in ours and listener.unix_path is None:
                for item in bind(listener, config.listeners):
                    item.close()

    def close(self) -> None:
        """Close every socket, and remove the files of those that have one."""
        for listener, sockets in self._sockets:
            for item in sockets:
                item.close()
            if listener.unix_path is not None and str(listener.unix_path) not in self._kept_files:
                listener.unix_path.unlink(missing_ok=True)
        self._sockets = []

    async def serve(
        self, shown: Callable[[Listener], Any], listening: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        """Serve until ``listening`` returns, and then until the requests under way are answered.

        ``shown`` gives the ASGI application of a listener; ``listening`` is called once for each, when all
        listen.
        """
        servers: list[Server] = []
        for listener, sockets in self._sockets:
            server = self._server(listener, shown(listener))
            await server.start(sockets, self._certificates.context(listener))
            servers.append(server)
        watching = asyncio.create_task(self._connections.watch())
        ticking = asyncio.create_task(_tick(servers))
        try:
            async with task_group() as group:
                for _ in servers:
                    group.create_task(listening())
        finally:
            for server in servers:
                await server.close()
            self.close()
            await self._connections.finish()
            for server in servers:
                await server.finish()
            for task in (watching, ticking):
                task.cancel()
            await asyncio.gather(watching, ticking, return_exceptions=True)

    def _server(self, listener: Listener, app: Any) -> Server:
        if self._config.engine_of(listener) == "uvicorn":
            return UvicornServer(app, self._connections)
        return HypercornServer(app, self._connections, self._config.http)


async def _tick(servers: Sequence[Server]) -> None:
    while True:
        await asyncio.sleep(1)
        for server in servers:
            server.tick()
