"""The one stream position: a counter that is advanced inside the transaction that uses it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, Table, bindparam, select, update

from palpo.db.statements import Statement
from palpo.db.tables.meta import metadata

stream_position = Table(
    "stream_position",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
)
"""One row, ``id`` 1. Its lock, held until the commit, makes commit order position order."""

ROW = stream_position.c.id == 1
ADVANCED = stream_position.c.position + bindparam("count", type_=BigInteger())
CURRENT = Statement(select(stream_position.c.position).where(ROW))
ADVANCE = Statement(update(stream_position).where(ROW).values(position=ADVANCED))
