"""Many writes as one statement: on PostgreSQL each statement is a round trip.

INSERT of many rows       INSERT INTO t (...) SELECT * FROM unnest($1::TEXT[], $2::BIGINT[])
INSERT here, UPDATE there WITH w0 AS (INSERT ...) UPDATE ...
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any, TypeAlias

Single: TypeAlias = tuple[str, Sequence[Any]]
"""One statement and its arguments."""
_PARAMETER = re.compile(r"\$(\d+)")


class BulkInsert:
    """A one-row INSERT turned into one of many rows, each parameter a column of them."""

    _VALUES = re.compile(
        r"(INSERT INTO \S+ \([^)]*\)) VALUES \(((?:\$\d+::[A-Z ]+(?:, )?)+)\)([^$]*)", re.DOTALL
    )
    _UPDATES = re.compile(r"ON CONFLICT \(([^)]*)\) DO UPDATE")

    def __init__(self, found: re.Match[str]) -> None:
        head, values, tail = found.groups()
        arrays = ", ".join(f"{value}[]" for value in values.split(", "))
        self.sql = f"{head} SELECT * FROM unnest({arrays}){tail}"
        updates = self._UPDATES.search(tail)
        columns = head[head.index("(") + 1 : -1].split(", ")
        self._key = [columns.index(name) for name in updates[1].split(", ")] if updates else []

    @classmethod
    def of(cls, sql: str) -> BulkInsert | None:
        """Of the statement ``sql``, or None where it is not a plain INSERT of parameters in order."""
        found = cls._VALUES.fullmatch(sql)
        if found is None:
            return None
        numbers = [int(number) for number in re.findall(r"\$(\d+)", found[2])]
        return cls(found) if numbers == list(range(1, len(numbers) + 1)) else None

    def repeats_a_key(self, rows: Sequence[Sequence[Any]]) -> bool:
        """Whether two rows would update the same one, which a single statement must not."""
        if not self._key:
            return False
        return len({tuple(row[index] for index in self._key) for row in rows}) < len(rows)


@lru_cache(maxsize=1024)
def bulk_insert(sql: str) -> BulkInsert | None:
    """``BulkInsert.of``, remembered."""
    return BulkInsert.of(sql)


def single_statement(sql: str, rows: Sequence[Sequence[Any]]) -> Single | None:
    """One statement that does for all of ``rows`` what ``sql`` does for each; None if there is none."""
    if len(rows) == 1:
        return sql, rows[0]
    bulk = bulk_insert(sql)
    if bulk is None or bulk.repeats_a_key(rows):
        return None
    return bulk.sql, list(zip(*rows, strict=True))


def combined(statements: Sequence[Single]) -> Single:
    """One statement that does what each of ``statements`` does; they write to different tables.

    None of them sees what another one writes.
    """
    if len(statements) == 1:
        return statements[0]
    return _joined(tuple(sql for sql, _ in statements)), [
        argument for _, arguments in statements for argument in arguments
    ]


@lru_cache(maxsize=1024)
def _joined(statements: tuple[str, ...]) -> str:
    numbered, taken = [], 0
    for sql in statements:
        numbers = [int(number) for number in _PARAMETER.findall(sql)]
        numbered.append(_PARAMETER.sub(partial(_moved, by=taken), sql))
        taken += max(numbers, default=0)
    *first, last = numbered
    parts = ", ".join(f"w{number} AS ({sql})" for number, sql in enumerate(first))
    return f"WITH {parts} {last}"


def _moved(parameter: re.Match[str], *, by: int) -> str:
    return f"${int(parameter[1]) + by}"
