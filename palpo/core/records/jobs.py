"""Long work that administrators have begun."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

Json = dict[str, Any]


class JobState(Enum):
    """What has become of a job."""

    SCHEDULED = "scheduled"
    ACTIVE = "active"
    """It has begun, and goes on after a restart."""
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more is done."""
        return self not in (JobState.SCHEDULED, JobState.ACTIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Something that takes long. Times are milliseconds since the Unix epoch."""

    job_id: str
    kind: str
    target: str
    """What it is done to: a room, a user…; empty for the server as such."""
    params: Json
    requested_by: str
    state: JobState
    checkpoint: Json | None
    """Where its work goes on; None before its first step is done."""
    progress: Json
    """What has been done so far, for people: ``{"done": 10, "of": 100}``, and what else there is to say."""
    result: Json | None
    error: str
    created_ts: int
    changed_ts: int
