"""What a database has had to do, and how long that took: for the metrics."""

from __future__ import annotations

from dataclasses import dataclass, field

from palpo.core.durations import SHORT_BOUNDS, Durations


@dataclass(slots=True)
class Figures:
    """Of this process, since its start."""

    reads: int = 0
    read_seconds: float = 0.0
    commits: Durations = field(default_factory=lambda: Durations(SHORT_BOUNDS))
    """Transactions that write, each of a group of units: from its beginning to its commit, or its failure."""
    units: int = 0
    """Units of work that were written."""
    failures: int = 0
    """Groups that were not committed as they were; each unit of those was tried again alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolFigures:
    """The connections of a pool, now."""

    size: int
    """How many there may be."""
    lent: int
    waiting: int
    """How many units of work wait for one."""
