"""Messages that wait for devices there, and how the device lists of other servers' users are followed."""

from __future__ import annotations

from sqlalchemy import bindparam, func, select

from palpo.db.statements import Statement
from palpo.db.synapse.devices import device_inbox, device_lists_remote_extremeties, device_lists_stream
from palpo.db.transaction import Transaction
from palpo.storage.synapse.pages import Pages

e = device_lists_remote_extremeties.c
MESSAGES = Pages(device_inbox, "user_id", "device_id", "stream_id")
"""Those to all devices."""
_COUNT_LISTS = Statement(select(func.count()).select_from(device_lists_remote_extremeties))
_LISTS = Statement(
    select(e.user_id).where(e.user_id > bindparam("after")).order_by(e.user_id).limit(bindparam("limit"))
)
_LAST_CHANGE = Statement(select(func.max(device_lists_stream.c.stream_id)))


async def count_lists(tx: Transaction) -> int:
    """The users of other servers whose device lists are followed."""
    return int(await tx.value(_COUNT_LISTS))


async def followed(tx: Transaction, after: str, limit: int) -> list[str]:
    """The next of them, in order."""
    return [row[0] for row in await tx.all(_LISTS, after=after, limit=limit)]


async def last_change(tx: Transaction) -> int:
    """The greatest number by which other servers know a change of a device list here."""
    return int(await tx.value(_LAST_CHANGE) or 0)
