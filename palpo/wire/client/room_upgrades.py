"""Upgrading rooms (spec: client-server API, "Room upgrades")."""

from __future__ import annotations

from palpo.wire.endpoint import Body, Endpoint, Limit, Response, RoomParams, client


class Upgrade(Body, frozen=True):
    """The version, and who else shall have made the new room."""

    new_version: str
    additional_creators: list[str] | None = None


class Upgraded(Response, frozen=True):
    """The new room."""

    replacement_room: str


upgrade_room: Endpoint[RoomParams, Upgrade, Upgraded] = Endpoint(
    operation_id="upgradeRoom",
    method="POST",
    paths=client("/rooms/{room_id}/upgrade"),
    while_suspended=False,
    limit=Limit.ROOM_CREATION,
    params=RoomParams,
    body=Upgrade,
    response=Upgraded,
)
