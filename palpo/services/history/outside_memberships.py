"""What local users are in rooms that are not here: invited, or knocking, and how that ended.

There is no state that says so: only an event that another server sent, or took. It is stored with the row of
the user's memberships, which syncs read. Once a local user is in the room, its state says what anybody is.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from palpo.core.canonical_json import decode_canonical, decode_object, to_json
from palpo.core.errors import LimitExceeded
from palpo.core.events import SignedEvent, kept_event, parse_stored
from palpo.core.identifiers import ServerName
from palpo.core.membership import INVITE, Membership
from palpo.core.records.events import EventStatus, StoredEvent
from palpo.core.room_versions import RoomVersion, room_version
from palpo.core.state_tree import EMPTY_ROOT
from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.services.history.blocked_rooms import BlockedRooms
from palpo.storage import memberships as memberships_storage
from palpo.storage import outside_memberships as storage
from palpo.storage.memberships import Member
from palpo.storage.outside_memberships import OutsideMembership
from palpo.streams import topics

MAX_INVITES = 100
"""Invites of one server to one user that are not answered."""
BUSY_MS = 60_000
"""When a server may try again that has invited a user to too many rooms."""


class OutsideMemberships:
    """Stores them, and says what they are."""

    def __init__(self, db: Database, blocked: BlockedRooms | None = None) -> None:
        self._db = db
        self._blocked = blocked

    async def put(
        self,
        rules: RoomVersion,
        event: SignedEvent,
        server: ServerName,
        *,
        shown: Sequence[dict[str, Any]] | None = None,
        instead_of: str | None = None,
    ) -> bool:
        """Have a local user's membership be what ``event`` says, which came from or went through ``server``.

        ``shown`` is the stripped state of an invite or a knock, the event's own included. Where
        ``instead_of`` is given, that event has to be what the membership was so far. Returns whether it is
        so now: it is not where a local user is in the room. Raises LimitExceeded where the server has
        invited the user to too many rooms, Forbidden for an invite to one that is blocked.
        """
        if self._blocked is not None and event.content["membership"] == INVITE:
            await self._blocked.check(event.room_id)
        member = Member(
            room_id=event.room_id,
            user_id=event.state_key or "",
            membership=Membership(event.content["membership"]),
            event_id=event.event_id,
            sender=event.sender,
            position=0,
            stripped_state=None if shown is None else to_json(list(shown)),
        )
        item = OutsideMembership(
            room_id=event.room_id,
            user_id=member.user_id,
            event_id=event.event_id,
            room_version=rules.id,
            server_name=server,
            pdu=to_json(event.pdu),
        )

        async def unit(tx: WriteTransaction) -> bool:
            return await _put(tx, member, item, instead_of)

        return await self._db.write(unit)

    async def get(self, room_id: str, user_id: str) -> OutsideMembership | None:
        """What a user is in a room that is not here; None where nothing is known of it."""
        return await self._db.read(lambda tx: storage.get(tx, room_id, user_id))

    async def event(self, member: Member) -> StoredEvent | None:
        """The event of a membership; None where it is not one of these."""
        found = await self.get(member.room_id, member.user_id)
        return stored(found) if found is not None and found.event_id == member.event_id else None

    async def events(self, user_id: str, event_ids: Collection[str]) -> list[StoredEvent]:
        """Those of the events that are, or were, such memberships of a user; in no order."""
        found = await self._db.read(lambda tx: storage.of_user(tx, user_id, event_ids)) if event_ids else ()
        return [stored(item) for item in found]


def stored(item: OutsideMembership) -> StoredEvent:
    """The event as if it were stored with the rest, without any state around it."""
    event = kept_event(signed(item))
    return StoredEvent(
        event=event,
        position=item.position,
        place=0,
        state_before=EMPTY_ROOT,
        state_after=EMPTY_ROOT,
        room_state=EMPTY_ROOT,
        redacted_by=None,
        status=EventStatus.OUTLIER,
        client=event.client,
    )


def signed(item: OutsideMembership) -> SignedEvent:
    """The event, as servers exchange it."""
    rules = room_version(item.room_version)
    pdu = decode_canonical(item.pdu) if rules.strict_canonical_json else decode_object(item.pdu)
    return parse_stored(rules, pdu, item.event_id)


async def _put(tx: WriteTransaction, member: Member, item: OutsideMembership, instead_of: str | None) -> bool:
    position = await tx.positions()
    room_id, user_id = member.room_id, member.user_id
    if await memberships_storage.local_users_in_room(tx, room_id, 1):
        return False
    if instead_of is not None:
        current = await memberships_storage.get(tx, room_id, user_id)
        if current is None or current.event_id != instead_of:
            return False
    known = await storage.get(tx, room_id, user_id)
    if known is not None and known.event_id == member.event_id:
        return True
    if known is None and member.membership == INVITE:
        await _check_room_for_one(tx, user_id, item.server_name)
    await storage.put(tx, replace(item, position=position))
    await memberships_storage.put(tx, [replace(member, position=position)])
    tx.notify(topics.USER, user_id)
    tx.notify(topics.MEMBER, user_id)
    return True


async def _check_room_for_one(tx: WriteTransaction, user_id: str, server: ServerName) -> None:
    if await storage.invites_from(tx, user_id, server) >= MAX_INVITES:
        raise LimitExceeded("The user has too many invites of your server", retry_after_ms=BUSY_MS)
