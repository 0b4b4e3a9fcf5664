"""Rooms of a server that is not ours, as far as it takes to invite our users to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from palpo.core.events import SignedEvent, build_event
from palpo.core.room_versions import RoomVersion, room_version
from tests.support.handshakes import V1, V2, path
from tests.support.homeserver import Homeserver
from tests.support.remote_server import RemoteServer


@dataclass(slots=True)
class OtherRoom:
    """One room: what it shows, and who invites from it."""

    remote: RemoteServer
    version: str = "11"
    name: str = "tea"
    inviter: str = ""
    shown: list[dict[str, Any]] = field(default_factory=list)
    room_id: str = ""
    clock: int = 1000

    def __post_init__(self) -> None:
        self.inviter = self.inviter or f"@bob:{self.remote.name}"
        content: dict[str, Any] = {"room_version": self.version}
        if not self.rules.implicit_room_creator:
            content["creator"] = self.inviter
        if self.rules.create_event_is_room_id:
            create = self.event("m.room.create", "", content, room_id=None)
            self.room_id = create.room_id
        else:
            self.room_id = f"!{self.name}:{self.remote.name}"
            create = self.event("m.room.create", "", content)
        self.shown = [create.pdu, self.event("m.room.name", "", {"name": self.name}).pdu]

    @property
    def rules(self) -> RoomVersion:
        return room_version(self.version)

    def event(
        self,
        type_: str,
        state_key: str | None,
        content: dict[str, Any],
        *,
        sender: str | None = None,
        room_id: str | None = "",
        allowed_by: Sequence[SignedEvent] = (),
    ) -> SignedEvent:
        """An event that stands nowhere in particular."""
        self.clock += 1
        chosen = self.version in ("1", "2")
        return build_event(
            self.rules,
            server_name=self.remote.name,
            key=self.remote.key,
            room_id=self.room_id if room_id == "" else room_id,
            type=type_,
            sender=sender or self.inviter,
            content=content,
            origin_server_ts=self.clock,
            depth=5,
            prev_events=[],
            auth_events=[item.event_id for item in allowed_by],
            state_key=state_key,
            event_id=f"${self.name}{self.clock}:{self.remote.name}" if chosen else None,
        )

    def membership(
        self,
        user_id: str,
        membership: str,
        *,
        sender: str | None = None,
        after: Sequence[SignedEvent] = (),
        **more: Any,
    ) -> SignedEvent:
        """What somebody is to be; ``after`` what they were."""
        content = {"membership": membership, **more}
        return self.event("m.room.member", user_id, content, sender=sender, allowed_by=after)

    async def invite(
        self,
        ours: Homeserver,
        invite: SignedEvent,
        *,
        shown: Any = None,
        status: int = 200,
        **changed: Any,
    ) -> Any:
        """Have a user of ours invited."""
        body = {
            "room_version": self.version,
            "event": invite.pdu,
            "invite_room_state": self.shown if shown is None else shown,
            **changed,
        }
        url = f"{V2}/invite{path(self.room_id, invite.event_id)}"
        return await self.remote.ask(ours, "PUT", url, body, status=status)

    async def invite_v1(self, ours: Homeserver, invite: SignedEvent, *, status: int = 200) -> Any:
        """The same as the first version has it."""
        body = {**invite.pdu, "unsigned": {"invite_room_state": self.shown}}
        url = f"{V1}/invite{path(self.room_id, invite.event_id)}"
        return await self.remote.ask(ours, "PUT", url, body, status=status)
