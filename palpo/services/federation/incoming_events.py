"""Events that other servers have sent or been asked for, taken into rooms that are here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from palpo.core.admission import Missing
from palpo.core.events import SignedEvent
from palpo.core.records.events import StoredEvent
from palpo.services.history.admission import Admission, Admitted
from palpo.services.history.room_heads import RoomHead
from palpo.services.history.room_writer import RoomWriter


@dataclass(slots=True)
class Outcome:
    """What became of some events."""

    written: list[StoredEvent] = field(default_factory=list)
    """Those that are new here, each with its status."""
    missing: Missing | None = None
    """What the first of the others has to have before it; None where there are none."""


class IncomingEvents:
    """Has them judged and written."""

    def __init__(self, admission: Admission, writer: RoomWriter) -> None:
        self._admission = admission
        self._writer = writer

    async def admit(self, room_id: str, events: Sequence[SignedEvent], *, past: bool = False) -> Outcome:
        """Judge and write events whose hashes and signatures have been checked, as far as that can be.

        Each has to come after those of them that it refers to. ``past``: they were asked for, and are older
        than what is here. Raises NotFound where the room is not known.
        """
        outcome = Outcome()
        waiting = list(events)
        while waiting:
            written = await self._writer.admit(room_id, partial(self._build, outcome, waiting, past))
            outcome.written += written
            known = {item.event_id for item in written}
            waiting = [event for event in waiting if event.event_id not in known]
            if not written:
                break
        return outcome

    async def _build(
        self, outcome: Outcome, events: Sequence[SignedEvent], past: bool, head: RoomHead
    ) -> Admitted:
        built = await self._admission.build(head, events, past=past)
        outcome.missing = built.missing
        return built
