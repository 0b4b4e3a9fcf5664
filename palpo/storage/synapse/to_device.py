"""Messages that wait for devices there, and how the device lists of other servers' users are followed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Text, bindparam, func, select, tuple_

from palpo.db.statements import Statement
from palpo.db.synapse.devices import device_inbox, device_lists_remote_extremeties, device_lists_stream
from palpo.db.transaction import Transaction
from palpo.storage.synapse.user_rows import Row

m = device_inbox.c
e = device_lists_remote_extremeties.c
_KEY = (m.user_id, m.device_id, m.stream_id)
_COLUMNS = [column.name for column in device_inbox.columns]
_COUNT = Statement(select(func.count()).select_from(device_inbox))
_PAGE = Statement(
    select(device_inbox)
    .where(
        tuple_(*_KEY)
        > tuple_(
            bindparam("user", type_=Text()),
            bindparam("device", type_=Text()),
            bindparam("stream", type_=BigInteger()),
        )
    )
    .order_by(*_KEY)
    .limit(bindparam("limit"))
)
_COUNT_LISTS = Statement(select(func.count()).select_from(device_lists_remote_extremeties))
_LISTS = Statement(
    select(e.user_id).where(e.user_id > bindparam("after")).order_by(e.user_id).limit(bindparam("limit"))
)
_LAST_CHANGE = Statement(select(func.max(device_lists_stream.c.stream_id)))


async def count(tx: Transaction) -> int:
    """The messages to all devices."""
    return int(await tx.value(_COUNT))


async def page(tx: Transaction, after: Sequence[Any], limit: int) -> list[Row]:
    """The next messages, by user, device and when they came."""
    user, device, stream = after
    rows = await tx.all(_PAGE, user=user, device=device, stream=stream, limit=limit)
    return [dict(zip(_COLUMNS, row, strict=True)) for row in rows]


async def count_lists(tx: Transaction) -> int:
    """The users of other servers whose device lists are followed."""
    return int(await tx.value(_COUNT_LISTS))


async def followed(tx: Transaction, after: str, limit: int) -> list[str]:
    """The next of them, in order."""
    return [row[0] for row in await tx.all(_LISTS, after=after, limit=limit)]


async def last_change(tx: Transaction) -> int:
    """The greatest number by which other servers know a change of a device list here."""
    return int(await tx.value(_LAST_CHANGE) or 0)
