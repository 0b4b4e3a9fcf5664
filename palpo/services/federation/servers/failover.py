"""One server after the other is asked, until one does what is wanted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

import structlog

from palpo.core.errors import MatrixError, NotFound
from palpo.core.identifiers import ServerName, is_server_name
from palpo.net.federation_errors import FederationError
from palpo.services.federation.servers.remote_answers import told

T = TypeVar("T")

MAX_SERVERS = 10
"""Of those that a request makes us ask."""
ENOUGH_S = 60.0
"""Seconds after which no further server is asked."""
OTHERS_MAY_KNOW = frozenset(
    ("M_NOT_FOUND", "M_UNKNOWN", "M_UNRECOGNIZED", "M_UNABLE_TO_AUTHORISE_JOIN", "M_UNABLE_TO_GRANT_JOIN")
)
"""Errors that say more of the server than of what was asked."""
log = structlog.get_logger("palpo.federation")


def others(names: Iterable[str], own: ServerName) -> list[ServerName]:
    """Servers to ask, in order: each once, and not this one."""
    found = dict.fromkeys(ServerName(name) for name in names if is_server_name(name) and name != own)
    return list(found)[:MAX_SERVERS]


async def through(servers: Sequence[ServerName], ask: Callable[[ServerName], Awaitable[T]]) -> T:
    """What the first server that can be asked, and does not refuse, comes to.

    Raises MatrixError: what one of them answered, as far as it says why; NotFound where none can be asked.
    """
    refusals: list[MatrixError] = []
    now_s = asyncio.get_running_loop().time
    until_s = now_s() + ENOUGH_S
    for server in servers:
        try:
            return await ask(server)
        except FederationError as error:
            refusals.append(told(error))
            log.info("remote_refused", server_name=server, error=str(error)[:500])
        except MatrixError as error:
            refusals.append(error)
            log.info("remote_unusable", server_name=server, error=str(error)[:500])
        if now_s() > until_s:
            break
    raise _weightiest(refusals)


def _weightiest(refusals: Sequence[MatrixError]) -> MatrixError:
    """The one that says most of what was asked for."""
    for error in refusals:
        if error.errcode not in OTHERS_MAY_KNOW:
            return error
    for error in refusals:
        if not isinstance(error, NotFound):
            return error
    return NotFound("No server that knows the room could be asked")
