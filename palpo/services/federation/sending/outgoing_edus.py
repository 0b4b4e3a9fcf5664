"""EDUs for other servers that may be lost: typing, receipts, presence.

What must not be lost is put into the database, in the transaction of what it tells of
(``palpo.storage.destination_edus.put``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from palpo.core.identifiers import ServerName
from palpo.services.federation.sending.destination_queue import Edu

Take = Callable[[Collection[ServerName], object, Edu], None]
"""``take(servers, key, edu)``."""


class OutgoingEdus:
    """Hands them to whoever tells servers, as long as this process is the one that does."""

    def __init__(self) -> None:
        self._take: Take | None = None

    def attach(self, take: Take | None) -> None:
        """Who takes them from now on; None: nobody, so they are lost."""
        self._take = take

    def send(
        self, servers: Collection[ServerName], edu_type: str, content: Mapping[str, Any], *, key: object
    ) -> None:
        """Have servers told soon; it takes the place of one with the same type and key that still waits."""
        if self._take is not None and servers:
            self._take(servers, (edu_type, key), Edu.of(edu_type, content))
