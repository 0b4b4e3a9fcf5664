"""Membership events that users of other servers may send: everything but the signature.

Spec: server-server API, "Joining Rooms", "Knocking upon a room", "Leaving Rooms".
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from palpo.core.errors import BadRequest, Forbidden
from palpo.core.identifiers import RoomId, ServerName, UserId, server_name_of
from palpo.core.membership import JOIN, KNOCK, LEAVE, Membership
from palpo.core.state_keys import MEMBER
from palpo.services.federation.servers.resident_rooms import ResidentRooms
from palpo.services.history.drafts import Draft
from palpo.services.history.room_builder import RoomBuilder
from palpo.services.rooms.restricted_joins import RestrictedJoins

_OURS = frozenset({"event_id", "hashes", "signatures"})
"""What the server that signs the event has to make."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipTemplate:
    """An event as it has to be, and the version of its room."""

    room_version: str
    event: dict[str, Any]


class MembershipTemplates:
    """Makes them of rooms that users of this server are in."""

    def __init__(
        self,
        server_name: ServerName,
        rooms: ResidentRooms,
        builder: RoomBuilder,
        restricted: RestrictedJoins,
    ) -> None:
        self._server_name = server_name
        self._rooms = rooms
        self._builder = builder
        self._restricted = restricted

    async def make(
        self,
        origin: ServerName,
        room_id: RoomId,
        user_id: UserId,
        membership: Membership,
        versions: Collection[str] | None = None,
    ) -> MembershipTemplate:
        """The event by which a user of ``origin`` becomes that; ``versions`` are those of rooms it knows.

        Raises NotFound, Forbidden, AuthError where the room does not let them, and BadRequest
        (M_INCOMPATIBLE_ROOM_VERSION, M_UNABLE_TO_AUTHORISE_JOIN, M_UNABLE_TO_GRANT_JOIN).
        """
        if server_name_of(user_id) != origin:
            raise Forbidden("That is no user of your server")
        head = await (self._rooms.head if membership is LEAVE else self._rooms.whole)(room_id)
        if versions is not None and head.rules.id not in versions:
            raise BadRequest(
                "Your server does not know this version of rooms",
                errcode="M_INCOMPATIBLE_ROOM_VERSION",
                fields={"room_version": head.rules.id},
            )
        if membership is KNOCK and not head.rules.knocking:
            raise Forbidden("Nobody can knock at rooms of this version")
        content = {"membership": membership.value}
        if membership is JOIN:
            content |= await self._restricted.vouching(head, user_id)
        draft = Draft(type=MEMBER, sender=user_id, state_key=user_id, content=content)
        built = await self._builder.extend(head, [draft], {})
        pdu = built.events[-1].event.pdu
        event = {key: value for key, value in pdu.items() if key not in _OURS}
        return MembershipTemplate(room_version=head.rules.id, event={**event, "origin": self._server_name})
