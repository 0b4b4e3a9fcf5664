"""Many writes as one statement: on PostgreSQL each statement is a round trip.

INSERT of many rows       INSERT INTO t (...) SELECT * FROM unnest($1::TEXT[], $2::BIGINT[])
INSERT here, UPDATE there WITH w0 AS (INSERT ...) UPDATE ...
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from palpo.db.compiled import Compiled

Single: TypeAlias = tuple[Compiled, Sequence[Any]]
"""One statement and its arguments."""


def single_statement(compiled: Compiled, rows: Sequence[Sequence[Any]]) -> Single | None:
    """One statement that does for all of ``rows`` what ``compiled`` does for each; None if there is none."""
    if len(rows) == 1:
        return compiled, rows[0]
    bulk = compiled.bulk
    if bulk is None or bulk.repeats_a_key(rows):
        return None
    return bulk.compiled, list(zip(*rows, strict=True))


def combined(statements: Sequence[Single]) -> tuple[str, Sequence[Any]]:
    """The text and the arguments of one that does what each does; they write to different tables.

    None of them sees what another one writes.
    """
    sql = _joined(tuple(compiled for compiled, _ in statements))
    return sql, [argument for _, arguments in statements for argument in arguments]


@lru_cache(maxsize=1024)
def _joined(statements: tuple[Compiled, ...]) -> str:
    texts, taken = [], 0
    for compiled in statements:
        texts.append(compiled.numbered_after(taken))
        taken += compiled.parameters
    *first, last = texts
    parts = ", ".join(f"w{number} AS ({sql})" for number, sql in enumerate(first))
    return f"WITH {parts} {last}" if first else last
