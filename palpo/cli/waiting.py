"""A start waits a while for a database server that does not answer yet, as after a boot."""

from __future__ import annotations

import asyncio
import time

import structlog

from palpo.cli.failures import database_failure
from palpo.config.model import Config
from palpo.db.connect import create_engine
from palpo.db.errors import DatabaseError, Unreachable

log = structlog.get_logger("palpo.server")
PAUSE_SECONDS = 0.5


def wait_for_database(config: Config) -> None:
    """Return once the database answers; raises Failure after ``database.wait_seconds``, or what it says."""
    if not config.database_url.startswith("sqlite:"):
        try:
            asyncio.run(_wait(config.database_url, config.database.wait_seconds))
        except DatabaseError as error:
            raise database_failure(config.database_url, error) from error


async def _wait(url: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    told = False
    while True:
        try:
            await _look(url, max(deadline - time.monotonic(), PAUSE_SECONDS))
            return
        except Unreachable as error:
            if time.monotonic() >= deadline:
                raise
            if not told:
                told = True
                failure = database_failure(url, error)
                log.warning("waiting_for_database", error=str(failure), seconds=seconds)
        await asyncio.sleep(PAUSE_SECONDS)


async def _look(url: str, seconds: float) -> None:
    engine = create_engine(url, readers=1)
    try:
        async with asyncio.timeout(seconds):
            await engine.open()
    except TimeoutError:
        raise Unreachable("it does not answer") from None
    finally:
        await engine.close()
