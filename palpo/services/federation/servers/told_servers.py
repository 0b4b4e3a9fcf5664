"""What a server is told before it is asked: what users here have just done.

Whoever leaves a room, and wants to join it again through a server that is in it, is still a member there as
long as that server has not heard of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from palpo.core.identifiers import ServerName

WAIT_S = 1.0
"""For so long at most: it is asked then all the same."""

Tell = Callable[[ServerName], Awaitable[None]]
"""``await tell(server)``: until it has been told of all events so far, or cannot be."""


class ToldServers:
    """Waits for whoever tells servers, as long as this process is the one that does."""

    def __init__(self) -> None:
        self._tell: Tell | None = None

    def attach(self, tell: Tell | None) -> None:
        """Who tells them from now on; None: nobody here."""
        self._tell = tell

    async def wait(self, server: ServerName) -> None:
        """Until a server has been told of what has happened so far, or ``WAIT_S`` are over."""
        if self._tell is None:
            return
        try:
            async with asyncio.timeout(WAIT_S):
                await self._tell(server)
        except TimeoutError:
            return
