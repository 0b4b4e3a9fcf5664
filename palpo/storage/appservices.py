"""What application services are sent: their last transaction, and the streams that the next is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, func, null, select, update

from palpo.core.records.events import EventStatus
from palpo.db.statements import Statement, in_list, upsert
from palpo.db.tables.appservices import appservice_queues
from palpo.db.tables.devices import device_list_changes, to_device_messages
from palpo.db.tables.presence import typing
from palpo.db.tables.receipts import receipts
from palpo.db.tables.rooms import events, memberships
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.device_lists import EVERYONE
from palpo.storage.receipts import RECORDS, Receipt
from palpo.storage.records import Records
from palpo.storage.windows import oldest

q = appservice_queues.c
r = receipts.c
m = to_device_messages.c
d = device_list_changes.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """The last transaction; ``body`` is None once it has been acknowledged."""

    prefix: str
    number: int
    body: bytes | None

    @property
    def transaction_id(self) -> str:
        """Its ID."""
        return f"{self.prefix}{self.number}"


_QUEUES = Records(Queue, appservice_queues)
_ADD = upsert(appservice_queues, key=["appservice_id"], update=())
_QUEUE = Statement(select(*_QUEUES.columns).where(q.appservice_id == bindparam("appservice")))
_STORE = Statement(
    update(appservice_queues)
    .where(q.appservice_id == bindparam("appservice"), q.number == bindparam("last"), q.body.is_(None))
    # MariaDB assigns one after the other.
    .ordered_values(
        (q.prefix, func.coalesce(q.next_prefix, q.prefix)),
        (q.next_prefix, null()),
        (q.number, q.number + 1),
        (q.body, bindparam("new_body")),
    )
)
_ACKNOWLEDGE = Statement(
    update(appservice_queues)
    .where(q.appservice_id == bindparam("appservice"), q.number == bindparam("last"))
    .values(body=null())
)
_EVENTS = oldest(
    select(events.c.position, events.c.event_id).where(events.c.status == EventStatus.ACCEPTED.value),
    events.c.position,
)
_TYPING = oldest(select(typing.c.position, typing.c.room_id), typing.c.position)
_RECEIPTS = oldest(select(*RECORDS.columns), r.position)
_TO_DEVICE = oldest(select(m.position, m.user_id, m.device_id, m.event), m.position)
_DELETE_TO_DEVICE = Statement(delete(to_device_messages).where(in_list(m.position, "positions")))
_DEVICE_LISTS = oldest(select(d.position, d.user_id).where(d.observer == EVERYONE), d.position)
_MEMBERS = Statement(
    select(memberships.c.user_id, memberships.c.membership, memberships.c.position).where(
        memberships.c.room_id == bindparam("room")
    )
)


async def ensure(tx: WriteTransaction, appservice_id: str, prefix: str) -> None:
    """Make the queue of an application service that has none; ``prefix`` begins its transactions' IDs."""
    await tx.run(_ADD, appservice_id=appservice_id, prefix=prefix, number=0, body=None, next_prefix=None)


async def queue(tx: Transaction, appservice_id: str) -> Queue | None:
    """The queue of an application service."""
    return _QUEUES.one(await tx.one(_QUEUE, appservice=appservice_id))


async def store(tx: WriteTransaction, appservice_id: str, *, last: int, body: bytes) -> bool:
    """Store the transaction after ``last``, which was acknowledged; False where another has done so."""
    return await tx.run(_STORE, appservice=appservice_id, last=last, new_body=body) > 0


async def acknowledge(tx: WriteTransaction, appservice_id: str, number: int) -> None:
    """The application service has received the transaction."""
    await tx.run(_ACKNOWLEDGE, appservice=appservice_id, last=number)


async def new_events(tx: Transaction, after: int, upto: int, limit: int) -> list[tuple[int, str]]:
    """``(position, event ID)`` in ``(after, upto]``: what is visible of rooms that are here."""
    return [(row[0], row[1]) for row in await tx.all(_EVENTS, after=after, upto=upto, limit=limit)]


async def typing_changes(tx: Transaction, after: int, upto: int, limit: int) -> list[tuple[int, str]]:
    """``(position, room)`` wherever somebody last began or stopped typing in ``(after, upto]``."""
    return [(row[0], row[1]) for row in await tx.all(_TYPING, after=after, upto=upto, limit=limit)]


async def new_receipts(tx: Transaction, after: int, upto: int, limit: int) -> list[Receipt]:
    """The receipts that last moved in ``(after, upto]``, private ones too, in order."""
    return RECORDS.all(await tx.all(_RECEIPTS, after=after, upto=upto, limit=limit))


async def new_messages(
    tx: Transaction, after: int, upto: int, limit: int
) -> list[tuple[int, str, str, bytes]]:
    """``(position, user, device, event JSON)`` of every message to a device in ``(after, upto]``."""
    rows = await tx.all(_TO_DEVICE, after=after, upto=upto, limit=limit)
    return [(row[0], row[1], row[2], bytes(row[3])) for row in rows]


async def delete_messages(tx: WriteTransaction, positions: Sequence[int]) -> None:
    """Delete messages to devices by their positions."""
    if positions:
        await tx.run(_DELETE_TO_DEVICE, positions=list(positions))


async def device_list_updates(tx: Transaction, after: int, upto: int, limit: int) -> list[tuple[int, str]]:
    """``(position, user)`` of everyone whose device list last changed in ``(after, upto]``."""
    return [(row[0], row[1]) for row in await tx.all(_DEVICE_LISTS, after=after, upto=upto, limit=limit)]


async def members(tx: Transaction, room_id: str) -> list[tuple[str, str, int]]:
    """``(user, membership, position of its last change)`` of everyone who has to do with a room."""
    return [(row[0], row[1], row[2]) for row in await tx.all(_MEMBERS, room=room_id)]
