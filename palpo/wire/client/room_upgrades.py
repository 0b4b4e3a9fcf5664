"""Upgrading rooms (spec: client-server API, "Room upgrades")."""

from __future__ import annotations

from palpo.wire.endpoint import Auth, Body, Endpoint, Limit, Params, Response, client


class Room(Params, frozen=True):
    """A room."""

    room_id: str


class Upgrade(Body, frozen=True):
    """The version, and who else shall have made the new room."""

    new_version: str
    additional_creators: list[str] | None = None


class Upgraded(Response, frozen=True):
    """The new room."""

    replacement_room: str


upgrade_room: Endpoint[Room, Upgrade, Upgraded] = Endpoint(
    operation_id="upgradeRoom",
    method="POST",
    paths=client("/rooms/{room_id}/upgrade"),
    auth=Auth.ACCESS_TOKEN,
    while_suspended=False,
    limit=Limit.ROOM_CREATION,
    params=Room,
    body=Upgrade,
    response=Upgraded,
)
