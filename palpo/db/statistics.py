"""The planner's statistics, where a database does not see to them in time."""

from __future__ import annotations

from typing import Protocol


class Statistics(Protocol):
    """What a database's planner knows of its tables."""

    async def refresh(self) -> list[str]:
        """Bring it up to date where it is far off; the tables that were. Raises Unreachable."""
        ...
