"""A database in files: the rows of each table, as they were at one moment, and a manifest of them.

    tables/NAME.gz    batches of rows, each the length of what follows (4 bytes, big-endian) and a MessagePack
                      array of arrays; compressed by gzip
    database.json     the manifest: written last, so where it is there, all is

The same files whichever kind of database they are of, or for.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from palpo.db.copies.checkpoints import Checkpoint
from palpo.db.copies.damaged import Damaged
from palpo.db.copies.digests import BITS, Digest, digest_of, hash_of
from palpo.db.copies.filling import Told, fill
from palpo.db.copies.rows import Batch, Row
from palpo.db.copies.sources import DatabaseSource
from palpo.db.errors import DatabaseError
from palpo.db.migrations.connection import connected, driven, engine_of

MANIFEST: Final = "database.json"
FORMAT: Final = 1
LEVEL: Final = 2
LENGTH: Final = 4
MAX_BATCH: Final = 2**30
"""No batch is longer: whoever reads a damaged file asks for no more memory."""
_decoded = msgspec.msgpack.Decoder(list[tuple[Any, ...]]).decode


class ArchivedTable(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a table's file. ``digest`` is of the rows, ``sha256`` of the file, both in hexadecimal."""

    columns: list[str]
    rows: int
    digest: str
    sha256: str
    size: int


class Archive(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest."""

    format: int
    revision: str
    server_name: str
    identity: str
    position: int
    tables: dict[str, ArchivedTable]

    @property
    def rows(self) -> int:
        """How many there are in all tables."""
        return sum(table.rows for table in self.tables.values())


def archive(url: str, folder: Path, told: Told) -> Archive:
    """Write the database at ``url``, which others may go on writing to, into an empty folder.

    Raises DatabaseError and OSError.
    """
    engine = engine_of(url, begin="BEGIN")
    try:
        made: Archive = driven(_archive, engine, folder, told)
        return made
    except DBAPIError as error:
        raise DatabaseError(str(error.orig)) from error


def read_manifest(folder: Path) -> Archive:
    """The manifest of an archive; raises Damaged."""
    try:
        found = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Archive)
    except (OSError, msgspec.DecodeError) as error:
        raise Damaged(f"{folder / MANIFEST}: {error}") from error
    if found.format != FORMAT:
        raise Damaged(
            f"{folder / MANIFEST}: it is of format {found.format}, which this release does not know"
        )
    return found


def check(folder: Path, told: Told) -> Archive:
    """Read all of an archive; raises Damaged where it is not what it should be."""
    found = read_manifest(folder)
    for name, table in found.tables.items():
        if _sha256(_file(folder, name)) != table.sha256:
            raise Damaged(f"{_file(folder, name)}: it is not what was written")
        digest = digest_of(rows_of(folder, name))
        if (digest.rows, digest.total) != (table.rows, int(table.digest, 16)):
            raise Damaged(f"{_file(folder, name)}: its rows are not those of the database")
        told("checked", name, table.rows, table.rows)
    return found


def rows_of(folder: Path, name: str) -> Iterator[Row]:
    """The rows of a table's file; raises Damaged."""
    for batch in _batches(_file(folder, name)):
        yield from batch


def unarchive(folder: Path, url: str, told: Told) -> int:
    """Fill the empty database at ``url`` from an archive; returns how many rows. Raises as ``fill`` does."""
    engine = engine_of(url)
    try:
        rows: int = driven(_unarchive, engine, ArchiveSource(folder), told)
        return rows
    except DBAPIError as error:
        raise DatabaseError(str(error.orig)) from error


class ArchiveSource:
    """An archive's rows: a ``Source``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._manifest = read_manifest(folder)

    @property
    def identity(self) -> str:
        return f"archive {_sha256(self._folder / MANIFEST)}"

    @property
    def revision(self) -> str:
        return self._manifest.revision

    def tables(self) -> Sequence[str]:
        return list(self._manifest.tables)

    def columns(self, table: str) -> Sequence[str]:
        return self._manifest.tables[table].columns

    def count(self, table: str) -> int:
        return self._manifest.tables[table].rows

    def batches(self, table: str, reached: Checkpoint) -> Iterator[Batch]:
        number = 0
        for rows in _batches(_file(self._folder, table)):
            number += len(rows)
            if number > reached.rows:
                yield Batch(rows=rows, last_key=(number,))

    def digest(self, table: str) -> Digest:
        entry = self._manifest.tables[table]
        return Digest(rows=entry.rows, total=int(entry.digest, 16))


def _archive(engine: Engine, folder: Path, told: Told) -> Archive:
    try:
        with connected(engine) as connection:
            if connection.dialect.name == "postgresql":
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            return _written(connection, folder, told)
    finally:
        engine.dispose()


def _written(connection: Connection, folder: Path, told: Told) -> Archive:
    """Write all tables, in one transaction that sees the database as it was when it began."""
    source = DatabaseSource(connection)
    (folder / "tables").mkdir()
    tables = {name: _write_table(source, name, _file(folder, name), told) for name in source.tables()}
    made = Archive(
        format=FORMAT,
        revision=source.revision,
        server_name=source.server_name,
        identity=source.identity,
        position=source.position,
        tables=tables,
    )
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(made), indent=1))
    return made


def _write_table(source: DatabaseSource, name: str, path: Path, told: Told) -> ArchivedTable:
    rows = total = 0
    expected = source.count(name)
    with path.open("xb") as file:
        with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=LEVEL, filename="", mtime=0) as packed:
            for batch in source.batches(name, Checkpoint()):
                encoded = [msgspec.msgpack.encode(row) for row in batch.rows]
                total += sum(map(hash_of, encoded))
                rows += len(encoded)
                _write_batch(packed, encoded)
                told("archived", name, rows, expected)
        file.flush()
        os.fsync(file.fileno())
        size = file.tell()
    return ArchivedTable(
        columns=list(source.columns(name)),
        rows=rows,
        digest=f"{total % 2**BITS:032x}",
        sha256=_sha256(path),
        size=size,
    )


def _write_batch(file: gzip.GzipFile, encoded: Sequence[bytes]) -> None:
    """An array of what is encoded already."""
    array = b"\xdd" + len(encoded).to_bytes(4) + b"".join(encoded)
    file.write(len(array).to_bytes(LENGTH))
    file.write(array)


def _batches(path: Path) -> Iterator[list[Row]]:
    try:
        with gzip.open(path) as file:
            while head := file.read(LENGTH):
                length = int.from_bytes(head)
                if len(head) < LENGTH or length > MAX_BATCH:
                    raise Damaged(f"{path}: it cannot be read")
                yield _decoded(file.read(length))
    except (OSError, EOFError, zlib.error, msgspec.DecodeError) as error:
        raise Damaged(f"{path}: {error}") from error


def _unarchive(engine: Engine, source: ArchiveSource, told: Told) -> int:
    try:
        with connected(engine) as connection:
            return fill(source, connection, told)
    finally:
        engine.dispose()


def _file(folder: Path, table: str) -> Path:
    return folder / "tables" / f"{table}.gz"


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise Damaged(f"{path}: {error.strerror}") from error
