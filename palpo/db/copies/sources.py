"""Where rows come from: a database, or whatever has them in the same way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from sqlalchemy import Connection, func, select

from palpo.db.copies.checkpoints import Checkpoint
from palpo.db.copies.digests import Digest, digest
from palpo.db.copies.rows import Batch, batches
from palpo.db.errors import DatabaseError
from palpo.db.migrations import HEAD
from palpo.db.migrations.stated import revision_of
from palpo.db.tables import metadata
from palpo.db.tables.server_meta import server_meta
from palpo.db.tables.stream_position import stream_position


class Source(Protocol):
    """Rows of all tables as they were at one moment."""

    @property
    def identity(self) -> str:
        """What they are: the same where a copy of them may be gone on with."""
        ...

    @property
    def revision(self) -> str:
        """The revision of the tables."""
        ...

    def tables(self) -> Sequence[str]:
        """The tables' names."""
        ...

    def columns(self, table: str) -> Sequence[str]:
        """A table's columns, in the order of what its rows have."""
        ...

    def count(self, table: str) -> int:
        """How many rows a table has."""
        ...

    def batches(self, table: str, reached: Checkpoint) -> Iterator[Batch]:
        """A table's rows that come after a checkpoint."""
        ...

    def digest(self, table: str) -> Digest:
        """What all rows of a table come to."""
        ...


class DatabaseSource:
    """A database with the tables of this release, in a transaction or with nobody who writes to it."""

    revision = HEAD

    def __init__(self, connection: Connection) -> None:
        if (found := revision_of(connection)) != self.revision:
            raise DatabaseError(f"it is at revision {found}: copy it by the release that has made it so")
        self._connection = connection
        facts = {
            row[0]: row[1] for row in connection.execute(select(server_meta.c.name, server_meta.c.value))
        }
        self.position: int = connection.scalar(select(stream_position.c.position)) or 0
        self.server_name = facts.get("server_name", "")
        self.identity = " ".join((self.server_name, facts.get("database", ""), str(self.position)))

    def tables(self) -> Sequence[str]:
        return [str(table.name) for table in metadata.sorted_tables]

    def columns(self, table: str) -> Sequence[str]:
        return [str(column.name) for column in metadata.tables[table].columns]

    def count(self, table: str) -> int:
        return self._connection.scalar(select(func.count()).select_from(metadata.tables[table])) or 0

    def batches(self, table: str, reached: Checkpoint) -> Iterator[Batch]:
        return batches(self._connection, metadata.tables[table], reached.last_key)

    def digest(self, table: str) -> Digest:
        return digest(self._connection, metadata.tables[table])
