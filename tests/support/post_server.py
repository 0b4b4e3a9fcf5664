"""An HTTP server on the loopback interface that takes JSON or forms by POST and keeps them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

PATIENCE_S = 10.0


@dataclass(slots=True, kw_only=True)
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: Any
    """Decoded JSON, or a form's fields."""


@dataclass(slots=True)
class PostServer:
    """What was received, and what is answered."""

    url: str = ""
    status: int = 200
    answer: dict[str, Any] = field(default_factory=dict)
    received: asyncio.Queue[Received] = field(default_factory=asyncio.Queue)
    hold: asyncio.Event | None = None
    """Answers wait until it is set."""

    async def next(self) -> Received:
        """The next request, within a few seconds."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.received.get()

    async def quiet(self, seconds: float = 0.3) -> bool:
        """Whether nothing comes for a while."""
        await asyncio.sleep(seconds)
        return self.received.empty()

    async def _take(self, request: web.Request) -> web.Response:
        form = request.content_type == "application/x-www-form-urlencoded"
        body = dict(await request.post()) if form else await request.json()
        headers = {name.lower(): value for name, value in request.headers.items()}
        await self.received.put(Received(path=request.path, headers=headers, body=body))
        if self.hold is not None:
            await self.hold.wait()
        return web.json_response(self.answer, status=self.status)


@asynccontextmanager
async def post_server() -> AsyncIterator[PostServer]:
    """Run a server."""
    server = PostServer()
    app = web.Application()
    app.router.add_post("/{path:.*}", server._take)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        server.url = f"http://{host}:{port}"
        yield server
    finally:
        await runner.cleanup()
