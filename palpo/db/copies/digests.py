"""Whether two tables have the same rows, in whatever order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

import msgspec
from sqlalchemy import Connection, FromClause

from palpo.db.copies.rows import Row, every_row

BITS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """How many rows, and the sum of their hashes."""

    rows: int
    total: int


def digest(connection: Connection, table: FromClause) -> Digest:
    """The digest of a table: the same of the same rows on every database."""
    return digest_of(every_row(connection, table))


def digest_of(rows: Iterable[Row]) -> Digest:
    """The digest of rows."""
    encode = msgspec.msgpack.Encoder().encode
    count = total = 0
    for row in rows:
        count += 1
        total += hash_of(encode(row))
    return Digest(rows=count, total=total % 2**BITS)


def hash_of(encoded: bytes) -> int:
    """The hash of a row, in MessagePack."""
    return int.from_bytes(blake2b(encoded, digest_size=BITS // 8).digest())
