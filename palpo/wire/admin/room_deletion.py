"""Deleting rooms, for administrators (Synapse's "Delete Room API")."""

from __future__ import annotations

from palpo.core.identifiers import UserId
from palpo.wire.admin.common import admin
from palpo.wire.endpoint import Auth, Body, Endpoint, NoBody, Params, Response, RoomParams


class Deletion(Body, frozen=True):
    """What is to become of a room and its users."""

    new_room_user_id: UserId | None = None
    room_name: str | None = None
    message: str | None = None
    block: bool = False
    purge: bool = True
    force_purge: bool = False


class ShutdownRoom(Response, frozen=True, omit_defaults=False):
    """What became of a room's users and aliases."""

    kicked_users: list[str]
    failed_to_kick_users: list[str]
    local_aliases: list[str]
    new_room_id: str | None


class Begun(Response, frozen=True):
    """The deletion's ID."""

    delete_id: str


class DeletionParams(Params, frozen=True):
    """A deletion."""

    delete_id: str


class DeletionStatus(Response, frozen=True):
    """How far a deletion is: ``scheduled``, ``active``, ``complete`` or ``failed``."""

    delete_id: str
    room_id: str
    status: str
    shutdown_room: ShutdownRoom
    error: str | None = None


class DeletionStatuses(Response, frozen=True):
    """The deletions of a room, the newest first."""

    results: list[DeletionStatus]


delete_now: Endpoint[RoomParams, Deletion, ShutdownRoom] = Endpoint(
    operation_id="synapse.deleteRoomNow",
    method="DELETE",
    paths=admin("/rooms/{room_id}"),
    auth=Auth.ADMIN,
    params=RoomParams,
    body=Deletion,
    response=ShutdownRoom,
)
delete_room: Endpoint[RoomParams, Deletion, Begun] = Endpoint(
    operation_id="synapse.deleteRoom",
    method="DELETE",
    paths=admin("/rooms/{room_id}", "v2"),
    auth=Auth.ADMIN,
    params=RoomParams,
    body=Deletion,
    response=Begun,
)
get_deletions: Endpoint[RoomParams, NoBody, DeletionStatuses] = Endpoint(
    operation_id="synapse.getRoomDeletions",
    method="GET",
    paths=admin("/rooms/{room_id}/delete_status", "v2"),
    auth=Auth.ADMIN,
    params=RoomParams,
    response=DeletionStatuses,
)
get_deletion: Endpoint[DeletionParams, NoBody, DeletionStatus] = Endpoint(
    operation_id="synapse.getRoomDeletion",
    method="GET",
    paths=admin("/rooms/delete_status/{delete_id}", "v2"),
    auth=Auth.ADMIN,
    params=DeletionParams,
    response=DeletionStatus,
)
