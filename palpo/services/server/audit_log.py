"""What administrators did: by the API, in the browser, or from the shell.

Whatever changes something on behalf of an administrator is here, also where it was refused. Nothing deletes
an entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from palpo.core.bounds import TOP
from palpo.db.engine import Database
from palpo.storage import audit_log as storage
from palpo.storage.audit_log import Entry
from palpo.streams.clock import Clock

MAX_DETAILS = 4096
"""Bytes of JSON; of what is longer only the names of its fields are kept."""
HIDDEN = "(hidden)"
SECRET_WORDS = ("password", "secret", "token", "mac", "auth", "key")
"""What is in the name of a field whose value is nobody's business."""
MOST = 2**63 - 1
"""Of an integer that is written as one."""


class AuditLog:
    """Takes entries in, and shows them."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def record(
        self,
        *,
        actor: str,
        via: str,
        action: str,
        target: str = "",
        details: Mapping[str, Any] | None = None,
        status: int = 200,
        address: str = "",
    ) -> None:
        """Write down that ``actor`` did ``action`` to ``target``; secrets in ``details`` are left out."""
        entry = Entry(
            position=0,
            at_ts=self._clock.now_ms(),
            actor=actor,
            via=via,
            action=action,
            target=target.replace("\0", ""),
            details=_written(details or {}),
            status=status,
            address=address,
        )
        await self._db.write(lambda tx: storage.insert(tx, entry))

    async def newest(
        self, *, before: int | None = None, limit: int = 100, actor: str | None = None
    ) -> list[Entry]:
        """Entries with IDs below ``before``, newest first."""
        upto = TOP if before is None else before
        return await self._db.read(lambda tx: storage.newest(tx, before=upto, limit=limit, actor=actor))

    async def count(self) -> int:
        """How many entries there are."""
        return await self._db.read(storage.count)


def _written(details: Mapping[str, Any]) -> bytes:
    shown = {name: _shown(name, value) for name, value in details.items()}
    written = orjson.dumps(shown, default=str)
    if len(written) <= MAX_DETAILS:
        return written
    return orjson.dumps({"fields": sorted(shown)[:50]})[:MAX_DETAILS]


def _shown(name: str, value: Any) -> Any:
    """A value, without what is secret in it, however deep."""
    if any(word in name.lower() for word in SECRET_WORDS) and value not in (None, True, False):
        return HIDDEN
    if isinstance(value, Mapping):
        return {inner: _shown(str(inner), item) for inner, item in value.items()}
    if isinstance(value, int) and not -MOST <= value <= MOST:
        return str(value)
    if isinstance(value, list):
        return [_shown("", item) for item in value]
    return value
