"""The engine behind a Unix socket, for as long as a run lasts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from hypercorn.asyncio import serve
from hypercorn.config import Config

from .api import DockerApi
from .engine import Engine


@asynccontextmanager
async def docker_socket(engine: Engine, path: Path) -> AsyncIterator[str]:
    """Open the engine and serve it; gives the value for DOCKER_HOST. Raises LaunchError."""
    stopped = asyncio.Event()

    async def stop() -> None:
        await stopped.wait()

    server: asyncio.Task[None] | None = None
    try:
        await engine.open()
        config = Config()
        config.bind = [f"unix:{path}"]
        config.graceful_timeout = 0.2
        # The Docker client keeps idle connections, and does not repeat a POST that meets a closing one.
        config.keep_alive_timeout = 86_400
        config.accesslog = None
        config.errorlog = None
        server = asyncio.create_task(serve(DockerApi(engine), config, shutdown_trigger=stop))  # type: ignore[arg-type]
        await _wait_listening(path, server)
        yield f"unix://{path}"
    finally:
        stopped.set()
        if server is not None:
            await server
        await engine.close()


async def _wait_listening(path: Path, server: asyncio.Task[None]) -> None:
    while not server.done():
        try:
            _, writer = await asyncio.open_unix_connection(path)
        except OSError:
            await asyncio.sleep(0.01)
            continue
        writer.close()
        await writer.wait_closed()
        return
