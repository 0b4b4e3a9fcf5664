"""The database, caches and backups."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from palpo.config.marks import SECRET
from palpo.config.section import Section


class DatabaseConfig(Section, frozen=True):
    """The database."""

    url: Annotated[
        str,
        Meta(description="`sqlite:///PATH`, `postgresql://…` or `mysql://…`; empty: SQLite in `data`."),
        SECRET,
    ] = ""
    timeout_seconds: Annotated[
        float,
        Meta(
            gt=0, description="How long a read, or a group of writes, may take before clients are told 503."
        ),
    ] = 10.0
    wait_seconds: Annotated[
        float, Meta(ge=0, description="How long a start waits for a database server that does not answer.")
    ] = 30.0


class CacheConfig(Section, frozen=True):
    """What each process keeps in memory of what it could read again from the database."""

    megabytes: Annotated[
        int,
        Meta(ge=0, description="For all caches together, in MiB of 1,048,576 bytes; 0: nothing is kept."),
    ] = 128


class BackupConfig(Section, frozen=True):
    """Backups that the server makes of itself. `palpo restore` puts one back."""

    folder: Annotated[
        Path | None,
        Meta(description="In which they are made, each in a folder of its own; none: the server makes none."),
    ] = None
    every_hours: Annotated[int, Meta(ge=1, description="Hours from one to the next.")] = 24
    keep: Annotated[int, Meta(ge=1, description="How many are kept; older ones are removed.")] = 7
