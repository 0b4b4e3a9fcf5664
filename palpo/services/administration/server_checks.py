"""How a server is found, and whether it answers, step by step: this one too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress

from palpo.net.federation_check import FederationCheck, Finding

WITHIN_S = 30.0
AT_ONCE = 2

MakeCheck = Callable[[], AbstractAsyncContextManager[FederationCheck]]


class ServerChecks:
    """Looks, a few at a time; ``make`` gives what looks, with connections of its own."""

    def __init__(self, make: MakeCheck) -> None:
        self._make = make
        self._places = asyncio.Semaphore(AT_ONCE)

    async def look(self, server_name: str) -> list[Finding]:
        """What is found within half a minute. The last finding says whether the server can be reached."""
        found: list[Finding] = []
        async with self._places, self._make() as check:
            with suppress(TimeoutError):
                async with asyncio.timeout(WITHIN_S):
                    async for finding in check.look(server_name):
                        found.append(finding)
                    return found
        return [*found, Finding("It takes too long: the rest was not looked at", good=False)]
