"""What a listener shows of the application: not every port is for everybody."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from palpo.api.app import PalpoApp
from palpo.api.errors import render
from palpo.core.errors import Unrecognized

SLASHES = re.compile("/+")
"""Quart takes several for one."""
PARTS = (
    ("/_synapse/admin", "admin"),
    ("/_palpo/admin", "admin"),
    ("/_palpo/metrics", "metrics"),
    ("/_palpo/health", "health"),
    ("/health", "health"),
)
"""The beginning of a path, and the part of the server that it belongs to; the rest is ``client``."""


class ListenerApp:
    """The application with the parts ``serves`` of it; what belongs to others is not found."""

    def __init__(self, app: PalpoApp, serves: Iterable[str]) -> None:
        self._app = app
        self._serves = frozenset(serves)
        self._serves_clients = "client" in self._serves

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one ASGI connection."""
        if scope["type"] != "http" or self._shown(scope["path"]):
            await self._app(scope, receive, send)
            return
        reply = render(Unrecognized("Unrecognized request"))
        headers = [(b"content-type", b"application/json"), (b"access-control-allow-origin", b"*")]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    def _shown(self, path: str) -> bool:
        if self._serves_clients and path.startswith("/_matrix/"):
            return True
        path = SLASHES.sub("/", path)
        return next((part for prefix, part in PARTS if path.startswith(prefix)), "client") in self._serves
