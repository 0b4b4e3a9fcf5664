"""Rooms made straight through the writer, for tests of what comes after."""

from __future__ import annotations

from typing import Any

from palpo.core.records.events import StoredEvent
from palpo.core.room_versions import ROOM_VERSIONS
from palpo.services.history.drafts import Draft
from tests.support.homeserver import Client, Homeserver


async def make_room(
    server: Homeserver, creator: Client, *, version: str = "11", visibility: str = "shared"
) -> str:
    """A public room; its ID."""
    rules = ROOM_VERSIONS[version]
    user = creator.user_id
    content: dict[str, Any] = {"room_version": version}
    if not rules.implicit_room_creator:
        content["creator"] = user
    levels = {} if rules.privileged_creators else {user: 100}
    drafts = [
        Draft(type="m.room.create", sender=user, state_key="", content=content),
        Draft(type="m.room.member", sender=user, state_key=user, content={"membership": "join"}),
        Draft(type="m.room.power_levels", sender=user, state_key="", content={"users": levels}),
        Draft(type="m.room.join_rules", sender=user, state_key="", content={"join_rule": "public"}),
        Draft(
            type="m.room.history_visibility",
            sender=user,
            state_key="",
            content={"history_visibility": visibility},
        ),
    ]
    room_id = None if rules.create_event_is_room_id else f"!room{creator.transaction_id()}:test.example"
    return await server.services.history.room_writer.create(rules, room_id, drafts)


async def member(
    server: Homeserver, room_id: str, client: Client, membership: str, by: Client | None = None
) -> StoredEvent:
    """Set a user's membership."""
    sender = (by or client).user_id
    draft = Draft(
        type="m.room.member", sender=sender, state_key=client.user_id, content={"membership": membership}
    )
    return await server.services.history.room_writer.send(room_id, draft)


async def state(
    server: Homeserver, room_id: str, by: Client, type_: str, content: dict[str, Any]
) -> StoredEvent:
    """Set a piece of state with the empty state key."""
    draft = Draft(type=type_, sender=by.user_id, state_key="", content=content)
    return await server.services.history.room_writer.send(room_id, draft)
