"""EDUs: what servers tell each other beside events (spec: server-server API, "EDUs").

Who wants some of them is a ``Receiver``, in a module of its own, and named in ``palpo.app.composition``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import structlog

from palpo.core.errors import MatrixError
from palpo.core.identifiers import ServerName

log = structlog.get_logger("palpo.federation")


class Receiver(Protocol):
    """Takes the EDUs of one type."""

    edu_type: str

    async def receive(self, origin: ServerName, content: dict[str, Any], /) -> None:
        """Take one; ``origin`` has signed it. What ``content`` holds is anybody's guess.

        Raises MatrixError for what is of no use, which costs only this one.
        """
        ...


class Edus:
    """Hands each over to who wants it."""

    def __init__(self, receivers: Iterable[Receiver]) -> None:
        self._receivers: Mapping[str, Receiver] = {item.edu_type: item for item in receivers}

    async def receive(self, origin: ServerName, edu_type: str, content: dict[str, Any]) -> None:
        """Take one EDU; what nobody wants, or is of no use, is passed over."""
        receiver = self._receivers.get(edu_type)
        if receiver is None:
            return
        try:
            await receiver.receive(origin, content)
        except MatrixError as error:
            log.info("edu_refused", origin=origin, edu_type=edu_type, error=str(error)[:200])
