"""Only one server at a time on a SQLite file: caches and wake-ups of two would not agree."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from palpo.db.errors import DatabaseError
from palpo.db.sqlite_path import sqlite_path


@contextmanager
def sole_server(url: str) -> Iterator[None]:
    """Be the one server of the database at ``url``, if it is a SQLite file; raises DatabaseError.

    The lock is on a file beside the database, and is the process's: it ends with it, however it ends,
    and its children do not have it. Commands of the shell do not ask for it. Where a database is a server,
    nothing is locked.
    """
    if urlsplit(url).scheme != "sqlite":
        yield
        return
    database = sqlite_path(url).resolve()
    path = database.with_name(f"{database.name}.lock")
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise DatabaseError(f"{path}: {error.strerror}") from error
    try:
        _lock(file, str(database))
        yield
    finally:
        os.close(file)


def _lock(file: int, database: str) -> None:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(file, 20, 0).decode(errors="replace").strip()
        raise DatabaseError(
            f"{database} is served by another process{f' ({holder})' if holder.isdigit() else ''}: "
            "stop that one first"
        ) from error
    os.ftruncate(file, 0)
    os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
