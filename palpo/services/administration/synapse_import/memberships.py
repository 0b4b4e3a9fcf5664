"""What users of this server are in rooms: what they have forgotten, invites to rooms that are not here."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from palpo.core.canonical_json import to_json
from palpo.core.errors import MatrixError
from palpo.core.events import SignedEvent, stripped
from palpo.core.identifiers import RoomId, ServerName, server_name_of
from palpo.core.membership import Membership, as_membership
from palpo.core.room_versions import room_version
from palpo.db.transaction import Row, Transaction, WriteTransaction
from palpo.services.administration.synapse_import.page_steps import PageStep
from palpo.services.administration.synapse_import.their_rooms import signed
from palpo.storage import memberships as storage
from palpo.storage import outside_memberships as outside_storage
from palpo.storage.memberships import Member
from palpo.storage.outside_memberships import OutsideMembership
from palpo.storage.synapse import events as their_events
from palpo.storage.synapse import rooms as theirs
from palpo.storage.synapse.events import TheirEvent
from palpo.streams import topics

SHOWN = ("invite_room_state", "knock_room_state")
OUTSIDE = (Membership.INVITE, Membership.KNOCK)


class MembershipStep(PageStep):
    """Memberships that the rooms' states do not say."""

    name = "memberships"
    pages = theirs.LOCAL

    async def page(self, after: object) -> Sequence[Row]:
        """Rows, each with the event and its room's version where that may be needed."""
        rows = await super().page(after)
        ids = [row[2] for row in rows if as_membership(row[3]) in OUTSIDE]
        events = await self.source.db.read(partial(their_events.get, ids=ids))
        rooms = {item.room_id for item in events.values()}
        versions = await self.source.db.read(partial(their_events.versions, room_ids=rooms))
        return [(*row, events.get(row[2]), versions.get(row[0], "1")) for row in rows]

    async def write(self, rows: Sequence[Row], tx: WriteTransaction) -> None:
        position = await tx.positions(len(rows))
        for offset, (room_id, user_id, event_id, _, forgotten, item, version) in enumerate(rows):
            known = await storage.get(tx, room_id, user_id)
            if item is not None and (known is None or known.event_id != event_id):
                await self._put_outside(item, version, position + offset, tx)
            elif known is not None and forgotten and not known.forgotten:
                await storage.forget(tx, room_id, user_id)

    async def _put_outside(self, item: TheirEvent, version: str, position: int, tx: WriteTransaction) -> None:
        """An invite, or a knock, of which there is only the event itself."""
        if await storage.local_users_in_room(tx, item.room_id, 1):
            return
        try:
            event = signed(room_version(version), item)
        except MatrixError:
            return
        member, outside = self._rows(event, item, version, position)
        await outside_storage.put(tx, outside)
        await storage.put(tx, [member])
        tx.notify(topics.USER, member.user_id)
        tx.notify(topics.MEMBER, member.user_id)

    def _rows(
        self, event: SignedEvent, item: TheirEvent, version: str, position: int
    ) -> tuple[Member, OutsideMembership]:
        unsigned = item.pdu().get("unsigned") or {}
        shown: list[object] = next(
            (unsigned[name] for name in SHOWN if isinstance(unsigned.get(name), list)), []
        )
        member = Member(
            room_id=RoomId(item.room_id),
            user_id=event.state_key or "",
            membership=Membership(event.content["membership"]),
            event_id=event.event_id,
            sender=event.sender,
            position=position,
            stripped_state=to_json([*shown, stripped(event)]),
        )
        outside = OutsideMembership(
            room_id=member.room_id,
            user_id=member.user_id,
            event_id=event.event_id,
            room_version=version,
            server_name=self._server_of(event),
            pdu=to_json(event.pdu),
            position=position,
        )
        return member, outside

    def _server_of(self, event: SignedEvent) -> ServerName:
        """Who can be asked about it: the server that sent it, or else that in whose name the room is."""
        sender = ServerName(server_name_of(event.sender))
        if sender != self.source.server_name:
            return sender
        return ServerName(event.room_id.partition(":")[2] or sender)

    async def compare(self, rows: Sequence[Row], tx: Transaction) -> list[str]:
        lines = []
        for room_id, user_id, event_id, membership, forgotten, *_ in rows:
            known = await storage.get(tx, room_id, user_id)
            if known is None:
                if as_membership(membership) in OUTSIDE or not forgotten:
                    lines.append(f"{user_id} in {room_id} is nothing here, and there {membership}")
            elif (known.membership, known.event_id) != (as_membership(membership), event_id):
                lines.append(f"{user_id} in {room_id} is {known.membership} here, and there {membership}")
            elif known.forgotten != bool(forgotten):
                lines.append(f"{user_id} has forgotten {room_id} on one side only")
        return lines
