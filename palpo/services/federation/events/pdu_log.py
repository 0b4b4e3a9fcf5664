"""What becomes of each event that another server sends, from its transaction to its verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import structlog

from palpo.core.identifiers import ServerName
from palpo.core.records.events import EventStatus, Refusal, StoredEvent

log = structlog.get_logger("palpo.federation")
MAX = 200
"""Characters of what others say."""


class PduLog:
    """The log of one transaction, or of what was waiting (``transaction_id`` None)."""

    def __init__(self, origin: ServerName, transaction_id: str | None = None) -> None:
        self._log = log.bind(
            origin=origin, transaction=None if transaction_id is None else transaction_id[:MAX]
        )

    def written(self, room_id: str, events: Iterable[StoredEvent], refusals: Mapping[str, Refusal]) -> None:
        """There is a verdict on these, and why some were not accepted."""
        for item in events:
            name, verdict = item.event_id, item.status.name.lower()
            if item.status is EventStatus.ACCEPTED:
                self._log.debug("pdu", room_id=room_id, event_id=name, verdict=verdict)
            else:
                refusal = refusals.get(name)
                told = {} if refusal is None else {"check": refusal.refused_by, "why": refusal.reason[:MAX]}
                self._log.info("pdu", room_id=room_id, event_id=name, verdict=verdict, **told)

    def waits(self, room_id: str, event_id: str, why: str = "something before it is missing") -> None:
        """There can be none yet."""
        self._log.info("pdu", room_id=room_id, event_id=event_id, verdict="waits", why=why[:MAX])

    def refused(self, room_id: str, event_id: str, refusal: Refusal) -> None:
        """It is not taken."""
        self._log.info(
            "pdu",
            room_id=room_id,
            event_id=event_id[:MAX],
            verdict="refused",
            check=refusal.refused_by,
            why=refusal.reason[:MAX],
        )

    def refused_all(self, count: int, why: str) -> None:
        """So many are not taken, whose IDs cannot be told."""
        self._log.info("pdus_refused", count=count, why=why[:MAX])

    def failed(self, room_id: str, error: Exception) -> None:
        """A room could not be written to now."""
        self._log.warning("pdus_not_written", room_id=room_id, error=str(error)[:MAX])
