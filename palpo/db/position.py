"""The one stream position: a counter that is advanced inside the transaction that uses it."""

from __future__ import annotations

from sqlalchemy import BigInteger, bindparam, select, update

from palpo.db.statements import Statement
from palpo.db.tables.stream_position import stream_position

ROW = stream_position.c.id == 1
ADVANCED = stream_position.c.position + bindparam("count", type_=BigInteger())
CURRENT = Statement(select(stream_position.c.position).where(ROW))
ADVANCE = Statement(update(stream_position).where(ROW).values(position=ADVANCED))
