"""What this process has done lately, for administrators to look at: lines of its log, and slow requests.

All of it is in memory, and bounded.
"""

from __future__ import annotations

import heapq
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

from palpo.services.server.audit_log import HIDDEN, SECRET_WORDS

LEVELS: Final = ("debug", "info", "warning", "error", "critical")
"""From the least to the gravest."""
MAX_LINES: Final = 1000
MAX_TEXT: Final = 2000
"""Characters of a line."""
SLOW_S: Final = 0.1
"""What takes less is not slow."""
MAX_SLOW: Final = 50
"""Requests of an hour."""
HOUR_MS: Final = 3600 * 1000
NO_TEXT: Final = ("event", "level", "timestamp", "logger")
SECRET = re.compile(r"((?:token|password|secret|signature|signed)[\"']?\s*[=:]\s*[\"']?)[^\s\"'&,]+", re.I)
CREDENTIALS = re.compile(r"(://[^\s/:@]*:)[^\s/@]+(?=@)|(\bBearer )\S+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of the log, without secrets."""

    at: str
    """ISO 8601, in UTC."""
    level: str
    text: str


class RecentLines:
    """Keeps the newest lines of the log, whichever thread they come from; how it is told: ``keep``."""

    def __init__(self) -> None:
        self._lines: deque[Line] = deque(maxlen=MAX_LINES)

    def keep(self, _logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """A processor of structlog's: looks at a line, and leaves it as it is. Not at those of requests."""
        if event.get("event") != "request" or "operation" not in event:
            level = str(event.get("level", method))
            self._lines.append(Line(at=str(event.get("timestamp", "")), level=level, text=_text(event)))
        return event

    def newest(self, *, level: str = "", text: str = "") -> list[Line]:
        """The newest first: those of ``level`` or graver, with ``text`` in them."""
        wanted = LEVELS[LEVELS.index(level) :] if level in LEVELS else LEVELS
        lowered = text.lower()
        return [
            line for line in reversed(self._lines.copy())
            if line.level in wanted and lowered in line.text.lower()
        ]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowRequest:
    """A request that took long. Times are milliseconds since the Unix epoch."""

    at_ts: int
    operation: str
    method: str
    path: str
    """Without what was asked for in the query."""
    status: int
    seconds: float
    user_id: str | None
    request_id: str


@dataclass(slots=True)
class SlowRequests:
    """Keeps the slowest requests of this hour, and of the last."""

    _hour: int = 0
    _number: Iterator[int] = field(default_factory=count)
    _now: list[tuple[float, int, SlowRequest]] = field(default_factory=list)
    _before: list[tuple[float, int, SlowRequest]] = field(default_factory=list)

    def note(self, request: SlowRequest) -> None:
        """Keep one, if it is among them."""
        hour = request.at_ts // HOUR_MS
        if hour != self._hour:
            self._before = self._now if hour == self._hour + 1 else []
            self._hour, self._now = hour, []
        item = (request.seconds, next(self._number), request)
        if len(self._now) < MAX_SLOW:
            heapq.heappush(self._now, item)
        else:
            heapq.heappushpop(self._now, item)

    def slowest(self) -> list[SlowRequest]:
        """The slowest first."""
        return [request for _, _, request in sorted([*self._before, *self._now], reverse=True)]


@dataclass(slots=True, kw_only=True)
class Recent:
    """Both."""

    lines: RecentLines = field(default_factory=RecentLines)
    requests: SlowRequests = field(default_factory=SlowRequests)


def _text(event: Mapping[str, Any]) -> str:
    return _without_secrets(" ".join(_parts(event)))[:MAX_TEXT]


def _parts(event: Mapping[str, Any]) -> Iterable[str]:
    if logger := event.get("logger"):
        yield f"{logger}:"
    yield str(event.get("event", ""))
    for name, value in event.items():
        if name.startswith("_") or name in NO_TEXT:
            continue
        secret = any(word in name.lower() for word in SECRET_WORDS)
        yield f"\n{value}" if name == "exception" else f"{name}={HIDDEN if secret else value}"


def _without_secrets(text: str) -> str:
    return CREDENTIALS.sub(rf"\1\2{HIDDEN}", SECRET.sub(rf"\1{HIDDEN}", text))
