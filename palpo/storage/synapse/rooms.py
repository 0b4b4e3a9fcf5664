"""What a Synapse has of rooms beside their events, each in pages by a key."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, TableClause, bindparam, func, select, tuple_

from palpo.db.statements import Statement
from palpo.db.synapse.rooms import (
    blocked_rooms,
    event_reports,
    local_current_membership,
    receipts_linearized,
    room_aliases,
    room_memberships,
    room_reports,
    rooms,
    user_reports,
)
from palpo.db.synapse.server import server_signature_keys
from palpo.db.transaction import Row, Transaction


class Pages:
    """A table's rows in the order of a key that is one text or number, or two texts."""

    def __init__(self, source: TableClause, *key: str, of: Select[Any] | None = None) -> None:
        """``of`` has the rows, if not all columns of all rows are wanted."""
        self._lowest: tuple[Any, ...] = tuple(
            "" if source.c[name].type.python_type is str else -(2**62) for name in key
        )
        columns = [source.c[name] for name in key]
        bounds = [bindparam(f"after_{name}", type_=source.c[name].type) for name in key]
        self._names = [f"after_{name}" for name in key]
        wanted = of if of is not None else select(*source.c)
        above = columns[0] > bounds[0] if len(columns) == 1 else tuple_(*columns) > tuple_(*bounds)
        self._page = Statement(wanted.where(above).order_by(*columns).limit(bindparam("limit")))
        self._count = Statement(select(func.count()).select_from(wanted.subquery()))

    async def count(self, tx: Transaction) -> int:
        """How many rows there are."""
        return int(await tx.value(self._count))

    async def page(self, tx: Transaction, after: Any, limit: int) -> list[Row]:
        """The next rows above a key; None: from the first one on."""
        key = self._lowest if after is None else tuple(after) if isinstance(after, list) else (after,)
        values = dict(zip(self._names, key, strict=True))
        return list(await tx.all(self._page, **values, limit=limit))


ROOMS = Pages(rooms, "room_id")
"""``room_id``, whether the directory lists it, who has made it, its version."""
ALIASES = Pages(room_aliases, "room_alias")
"""Alias, room, who has made it."""
BLOCKED = Pages(blocked_rooms, "room_id")
"""Room, who has blocked it."""
_r = receipts_linearized.c
RECEIPTS = Pages(
    receipts_linearized,
    "stream_id",
    of=select(_r.stream_id, _r.room_id, _r.receipt_type, _r.user_id, _r.event_id, _r.thread_id, _r.data),
)
EVENT_REPORTS = Pages(event_reports, "id")
ROOM_REPORTS = Pages(room_reports, "id")
USER_REPORTS = Pages(user_reports, "id")
_l, _m = local_current_membership.c, room_memberships.c
LOCAL = Pages(
    local_current_membership,
    "room_id",
    "user_id",
    of=select(_l.room_id, _l.user_id, _l.event_id, _l.membership, _m.forgotten).join(
        room_memberships, _m.event_id == _l.event_id, isouter=True
    ),
)
"""Room, user of this server, event, membership, whether it is forgotten."""
SERVER_KEYS = Pages(server_signature_keys, "server_name", "key_id")
"""Server, key, until when it is valid in milliseconds, its 32 bytes."""
