"""Copy a database that nobody writes to into an empty one of any kind."""

from __future__ import annotations

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from palpo.db.copies.filling import Told, fill
from palpo.db.copies.sources import DatabaseSource
from palpo.db.errors import DatabaseError
from palpo.db.migrations.connection import connected, driven, engine_of


def copy_database(source_url: str, target_url: str, told: Told) -> int:
    """Copy the database at one URL to the empty one at another; returns how many rows that are.

    ``source_url`` has the tables of this release, and nobody writes to it. Raises DatabaseError where the
    target is not empty, or the two are not alike in the end, BadValue for what it cannot hold, Unreachable.
    """
    source, target = engine_of(source_url, begin="BEGIN"), engine_of(target_url)
    try:
        copied: int = driven(_copy, source, target, told)
        return copied
    except DBAPIError as error:
        raise DatabaseError(str(error.orig)) from error


def _copy(source: Engine, target: Engine, told: Told) -> int:
    try:
        with connected(source) as reading, connected(target) as writing:
            return fill(DatabaseSource(reading), writing, told)
    finally:
        source.dispose()
        target.dispose()
