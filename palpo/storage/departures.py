"""That users have left rooms which were deleted then: what their clients are told when they come back.

A departure is a row of ``outside_memberships``, beside one of ``memberships`` with the same event.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import bindparam, delete, select, update

from palpo.core.records.jobs import JobState
from palpo.db.statements import Statement, in_list
from palpo.db.tables.jobs import jobs
from palpo.db.tables.outside_memberships import outside_memberships
from palpo.db.tables.rooms import memberships, rooms
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage import outside_memberships as outside
from palpo.storage.outside_memberships import OutsideMembership
from palpo.streams import topics

m, o, j = memberships.c, outside_memberships.c, jobs.c
_ROOM_AND_USERS = (m.room_id == bindparam("room")) & in_list(m.user_id, "users")
_SHOW = Statement(update(memberships).where(_ROOM_AND_USERS).values(forgotten=0))
_OUTSIDE = Statement(
    select(o.user_id, o.event_id)
    .where(o.room_id == bindparam("room"), o.user_id > bindparam("after"))
    .order_by(o.user_id)
    .limit(bindparam("limit"))
)
_DELETE_OUTSIDE = Statement(
    delete(outside_memberships).where(o.room_id == bindparam("room"), in_list(o.user_id, "users"))
)
_MEMBERS = Statement(
    select(m.user_id)
    .where(m.room_id == bindparam("room"), m.user_id > bindparam("after"))
    .order_by(m.user_id)
    .limit(bindparam("limit"))
)
_DELETE_MEMBERS = Statement(delete(memberships).where(_ROOM_AND_USERS))
_DELETIONS = Statement(
    select(j.target).where(
        j.kind == bindparam("deletion"), in_list(j.state, "states"), j.changed_ts < bindparam("before")
    )
)
_ENDED = [state.value for state in JobState if state.ended]
_ROOM = Statement(select(rooms.c.room_id).where(rooms.c.room_id == bindparam("room")))
_DELETE_ALL_OUTSIDE = Statement(delete(outside_memberships).where(o.room_id == bindparam("room")))
_DELETE_ALL_MEMBERS = Statement(delete(memberships).where(m.room_id == bindparam("room")))


async def keep(tx: WriteTransaction, room_id: str, departures: Sequence[OutsideMembership]) -> None:
    """Have users be told that they have left a room, which nobody finds any more."""
    await tx.positions()
    users = [item.user_id for item in departures]
    for item in departures:
        await outside.put(tx, item)
    await tx.run(_SHOW, room=room_id, users=users)
    tx.notify(topics.MEMBER, *users)


async def outside_after(tx: Transaction, room_id: str, user_id: str, limit: int) -> dict[str, str]:
    """The next users by ID of whom something is known outside of a room, and by which event."""
    rows = await tx.all(_OUTSIDE, room=room_id, after=user_id, limit=limit)
    return {row[0]: row[1] for row in rows}


async def members_after(tx: Transaction, room_id: str, user_id: str, limit: int) -> list[str]:
    """The next users by ID with a membership of a room."""
    return [row[0] for row in await tx.all(_MEMBERS, room=room_id, after=user_id, limit=limit)]


async def delete_outside(tx: WriteTransaction, room_id: str, users: Collection[str]) -> None:
    """Forget what is known of users outside of a room."""
    await tx.run(_DELETE_OUTSIDE, room=room_id, users=list(users))


async def delete_members(tx: WriteTransaction, room_id: str, users: Collection[str]) -> None:
    """Forget that users were ever in a room."""
    await tx.positions()
    await tx.run(_DELETE_MEMBERS, room=room_id, users=list(users))
    tx.notify(topics.MEMBER, *users)


async def forget(tx: WriteTransaction, *, deletion: str, before_ts: int) -> None:
    """Forget departures from rooms whose deletion, a job of the kind ``deletion``, ended before a time."""
    for row in await tx.all(_DELETIONS, deletion=deletion, states=_ENDED, before=before_ts):
        if await tx.value(_ROOM, room=row[0]) is None:
            await tx.run(_DELETE_ALL_OUTSIDE, room=row[0])
            await tx.run(_DELETE_ALL_MEMBERS, room=row[0])
