"""Rows of which only the newest few are kept."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Table, bindparam, delete, select

from palpo.db.statements import Statement
from palpo.db.transaction import WriteTransaction


class Surplus:
    """The rows of ``table`` that ``where`` holds for, but for the newest by ``age``.

    Parameters of ``where`` are given when they are forgotten.
    """

    def __init__(self, table: Table, age: ColumnElement[int], *where: ColumnElement[bool]) -> None:
        self.last = Statement(
            select(age).where(*where).order_by(age.desc()).limit(1).offset(bindparam("keep"))
        )
        self.older = Statement(delete(table).where(*where, age <= bindparam("upto")))

    async def forget(self, tx: WriteTransaction, *, keep: int, **params: Any) -> None:
        """Delete all but the ``keep`` newest; rows that are as old as one that goes, go too."""
        last = await tx.value(self.last, keep=keep, **params)
        if last is not None:
            await tx.run(self.older, upto=last, **params)
