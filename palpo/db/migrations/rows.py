"""The rows that a database has from its beginning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from palpo.db.tables.stream_position import stream_position

INITIAL_ROWS: Mapping[str, Sequence[Mapping[str, Any]]] = {stream_position.name: [{"id": 1, "position": 0}]}
"""Table name → rows."""
