"""What one server is still to be told of, in the memory of the process that tells it.

acked ── gap ── events ──▶ the stream
everything up to ``acked`` it has been told of, what is in ``events`` comes last; between the two, up to
``gap``, the database has what there is, where that was too much to keep
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice
from typing import Any

from palpo.core.canonical_json import encode_read
from palpo.core.identifiers import ServerName
from palpo.storage.destinations import Destination

MAX_PDUS, MAX_EDUS = 50, 100
"""In one transaction (spec: server-server API, "Transactions")."""
MAX_EVENTS, MAX_EVENTS_FAILING = 1000, 50
"""Events that are kept for a server, and for one that does not answer: of more, the database is asked."""
MAX_WAITING_EDUS = 200
"""EDUs that may be lost are kept up to this number: of more, the oldest are."""
FAILURES_WITH_EDUS = 3
"""After so many, what may be lost is: who types, and who is there, is soon no news."""
FIRST_PAUSE_MS, LONGEST_PAUSE_MS = 750, 3600 * 1000
"""How long a server is left alone that could not be told: after its first failure, and at most."""
HEARD_PAUSE_MS = 3000
"""The same of one that has been heard from since: one that asks and does not listen costs little."""


class Health(Enum):
    """How it is with a server."""

    HEALTHY = "healthy"
    CATCHING_UP = "catching up"
    FAILING = "failing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edu:
    """An EDU as it is sent, to many servers maybe."""

    edu_type: str
    json: bytes
    """It in a transaction, in canonical JSON."""

    @classmethod
    def of(cls, edu_type: str, content: Mapping[str, Any]) -> Edu:
        """The EDU with this content; raises BadJson where that has no canonical form."""
        return cls(edu_type=edu_type, json=encode_read({"content": content, "edu_type": edu_type}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A transaction: what it tells of, and what it settles once it is acknowledged."""

    transaction_id: str
    event_ids: Sequence[str]
    edus: Sequence[Edu]
    acked: int | None
    """Up to where the server has been told of all events then; None where that does not change."""
    stored_edus: Sequence[int] = ()
    """The positions of the EDUs that the database has."""
    lossy: bool = False
    """Whether there are EDUs in it that may be lost."""
    ts: int
    """When it was made, in milliseconds since the Unix epoch."""

    @property
    def size(self) -> int:
        """How many there are in it."""
        return len(self.event_ids) + len(self.edus)


@dataclass(slots=True, eq=False, kw_only=True)
class DestinationQueue:
    """One server. Times are milliseconds since the Unix epoch."""

    server_name: ServerName
    acked: int = 0
    """Too low where it has been told of everything (``told``)."""
    gap: int | None = None
    events: deque[tuple[int, str]] = field(default_factory=deque)
    """Positions and IDs, in order."""
    edus: dict[object, Edu] = field(default_factory=dict)
    """Those that may be lost; a new one takes the place of one with the same key."""
    stored_edus: bool = False
    """Whether the database may have EDUs for it."""
    sending: Outgoing | None = None
    """What was sent and is not acknowledged: it is sent again as it was."""
    most: int = MAX_PDUS
    """Items in one transaction: fewer where it has refused some, to find which."""
    failures: int = 0
    failing_since_ts: int = 0
    failed_ts: int = 0
    """When it last could not be told."""
    retry_ts: int = 0
    error: str = ""
    waiting_since_ts: int = 0
    """Since when there has been an event that it has not been told of."""
    row: Destination | None = None
    """What the database has of it."""
    scheduled_ts: int = 0
    """For when it was last noted that it is to be tried again."""

    @classmethod
    def of(cls, row: Destination, upto: int) -> DestinationQueue:
        """A server that has not been told of everything up to ``upto``, to be tried at once."""
        return cls(
            server_name=row.server_name,
            acked=row.sent_upto,
            gap=upto if row.sent_upto < upto else None,
            failures=row.failures,
            failing_since_ts=row.failing_since_ts,
            error=row.error,
            row=row,
        )

    @property
    def told(self) -> bool:
        """Whether it has been told of all events."""
        return not self.events and self.gap is None

    def has_before(self, upto: int) -> bool:
        """Whether there is an event up to a position that it has not been told of."""
        return not self.told and self.acked < upto

    @property
    def idle(self) -> bool:
        """Whether there is nothing to tell it."""
        return self.told and not self.edus and not self.stored_edus and self.sending is None

    def settled(self, now_ms: int) -> bool:
        """Whether it need not be known of: there is nothing to tell, nor is there a pause to be kept."""
        return self.idle and self.retry_ts <= now_ms

    @property
    def health(self) -> Health:
        """How it is with it."""
        if self.failures:
            return Health.FAILING
        return Health.HEALTHY if self.gap is None else Health.CATCHING_UP

    def add_event(self, event: tuple[int, str], now_ms: int) -> None:
        """There is an event for it, after all those before; many servers share one ``event``."""
        position, _ = event
        if position <= self.acked:
            return
        if self.told:
            self.acked, self.waiting_since_ts = position - 1, now_ms
        self.events.append(event)
        if len(self.events) > (MAX_EVENTS_FAILING if self.failures else MAX_EVENTS):
            self._leave_to_database()

    def add_edu(self, key: object, edu: Edu) -> None:
        """There is an EDU for it that may be lost."""
        if self.failures >= FAILURES_WITH_EDUS:
            return
        self.edus.pop(key, None)
        self.edus[key] = edu
        if len(self.edus) > MAX_WAITING_EDUS:
            del self.edus[next(iter(self.edus))]

    def next_events(self) -> list[tuple[int, str]]:
        """The first of ``events``, as many as are sent at once."""
        return list(islice(self.events, min(self.most, MAX_PDUS)))

    def take_edus(self, room: int) -> list[Edu]:
        """Take out up to ``room`` of those that may be lost."""
        keys = list(islice(self.edus, room))
        return [self.edus.pop(key) for key in keys]

    def caught_up(self, upto: int) -> None:
        """Of what the database has, it has been told of up to here."""
        self.acked = max(self.acked, upto)
        if self.gap is not None and self.acked >= self.gap:
            self.gap = None
            self._begin_at_events()

    def acknowledged(self) -> None:
        """What was sent has arrived."""
        sent, self.sending = self.sending, None
        self.answered()
        if sent is None or sent.acked is None:
            return
        if self.gap is not None:
            self.caught_up(sent.acked)
            return
        self.acked = max(self.acked, sent.acked)
        while self.events and self.events[0][0] <= self.acked:
            self.events.popleft()
        self._begin_at_events()

    def answered(self) -> None:
        """It can be told."""
        self.failures = self.failing_since_ts = self.retry_ts = 0
        self.error = ""
        self.most = MAX_PDUS

    def heard_from(self) -> None:
        """It is there: it is told now, or soon after it last could not be, and if that fails, soon again."""
        self.retry_ts = min(self.retry_ts, self.failed_ts + HEARD_PAUSE_MS)
        self.failures = min(self.failures, 1)
        if self.idle:
            self.answered()

    def failed(self, now_ms: int, error: str, *, share: float, at_least_ms: int = 0) -> None:
        """It could not be told; it is left alone for ``share`` (about 1) of what is due, or longer."""
        self.failures += 1
        self.failing_since_ts = self.failing_since_ts or now_ms
        self.failed_ts = now_ms
        self.error = error[:500]
        self.retry_ts = now_ms + max(round(pause_after(self.failures) * share), at_least_ms)
        if self.failures >= FAILURES_WITH_EDUS:
            self.edus.clear()
            if self.sending is not None and self.sending.lossy:
                self.sending = None

    def refused(self) -> bool:
        """It will have nothing of what was sent; whether there is a part of it that may be tried alone."""
        sent, self.sending = self.sending, None
        if sent is None or sent.size > 1:
            self.most = max(1, min(self.most, sent.size if sent else 1) // 2)
            return True
        self.sending = sent
        self.acknowledged()
        return False

    def _begin_at_events(self) -> None:
        if self.events and self.gap is None:
            self.acked = max(self.acked, self.events[0][0] - 1)

    def _leave_to_database(self) -> None:
        """Keep no events: they are too many."""
        self.gap = self.events[-1][0]
        self.events.clear()
        if self.failures:
            self.sending = None

    def stored_as(self, now_ms: int, *, upto: int, slow_ms: int) -> Destination | None:
        """What the database is to have of it: nothing of those that are told of everything, or soon will be.

        All events up to ``upto`` have been looked at. One that is there stays until all is told: others may
        count on it.
        """
        if self.settled(now_ms):
            return None
        waits = not self.told and (self.row is not None or now_ms - self.waiting_since_ts > slow_ms)
        if not (self.failures or waits):
            return None
        told_upto = upto if self.row is None else self.row.sent_upto
        return Destination(
            server_name=self.server_name,
            sent_upto=told_upto if self.told else self.acked,
            failures=self.failures,
            failing_since_ts=self.failing_since_ts,
            retry_ts=self.retry_ts,
            error=self.error,
        )


def by_health(queues: Iterable[DestinationQueue]) -> dict[Health, int]:
    """How many there are of each."""
    found = dict.fromkeys(Health, 0)
    for queue in queues:
        found[queue.health] += 1
    return found


def pause_after(failures: int) -> int:
    """About how many milliseconds a server is left alone that could not be told so often in a row."""
    return min(FIRST_PAUSE_MS << min(failures - 1, 30), LONGEST_PAUSE_MS)
