"""Work that is done now and then, until its task is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from palpo.core.errors import MatrixError
from palpo.db.errors import DatabaseError

log = structlog.get_logger("palpo.workers")


async def now_and_then(
    work: Callable[[], Awaitable[object]],
    *,
    failed: str,
    start_s: float,
    period_s: float,
    retry_s: float | None = None,
) -> None:
    """Do ``work`` after ``start_s`` seconds, and then each time ``period_s`` after it was done.

    Where the database, a file or what was asked for fails it, that is logged as ``failed``, and it is done
    again after ``retry_s``, if that is sooner.
    """
    pause_s = start_s
    while True:
        await asyncio.sleep(pause_s)
        pause_s = period_s
        try:
            await work()
        except (DatabaseError, MatrixError, OSError) as error:
            log.warning(failed, error=str(error))
            pause_s = period_s if retry_s is None else min(retry_s, period_s)
