"""Which positions of the stream are of this database's history.

A database that was put back from a backup goes on far above every position that it may have given out
since the backup was made. So a token from the time that was lost lies in a gap, and stands for the
backup: what came after that is new to its client. Where nobody noticed, it may be ahead of the stream.
"""

from __future__ import annotations

from collections.abc import Sequence

from palpo.db.engine import Database
from palpo.streams.polling import read_position
from palpo.streams.wakeups import Wakeups

Gap = tuple[int, int]
"""``(after, upto)``: the positions in between belong to a time that was lost."""


class StreamHistory:
    """Tells tokens of the time that was lost from others."""

    def __init__(self, db: Database, wakeups: Wakeups, gaps: Sequence[Gap]) -> None:
        self._db = db
        self._wakeups = wakeups
        self._gaps = gaps

    def is_lost(self, position: int) -> bool:
        """Whether the position was given out before the database was restored, and is gone since."""
        return any(after < position <= upto for after, upto in self._gaps)

    async def is_ahead(self, position: int) -> bool:
        """Whether nothing has this position yet: it was never given out, as far as the database knows."""
        return position > self._wakeups.position and position > await self._db.read(read_position)
