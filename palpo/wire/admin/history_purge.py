"""Deleting rooms' histories, for administrators (Synapse's "Purge History API")."""

from __future__ import annotations

from palpo.core.identifiers import EventId
from palpo.wire.admin.common import Milliseconds, admin
from palpo.wire.endpoint import Auth, Body, Endpoint, EventParams, NoBody, Params, Response, RoomParams


class Purge(Body, frozen=True):
    """Up to where, and whether messages of users here are deleted too."""

    delete_local_events: bool = False
    purge_up_to_event_id: EventId | None = None
    purge_up_to_ts: Milliseconds | None = None


class Begun(Response, frozen=True):
    """The purge's ID."""

    purge_id: str


class PurgeParams(Params, frozen=True):
    """A purge."""

    purge_id: str


class PurgeStatus(Response, frozen=True):
    """How far a purge is: ``active``, ``complete`` or ``failed``."""

    status: str
    error: str | None = None


purge_history: Endpoint[RoomParams, Purge, Begun] = Endpoint(
    operation_id="synapse.purgeHistory",
    method="POST",
    paths=admin("/purge_history/{room_id}"),
    auth=Auth.ADMIN,
    params=RoomParams,
    body=Purge,
    response=Begun,
)
purge_history_before: Endpoint[EventParams, Purge, Begun] = Endpoint(
    operation_id="synapse.purgeHistoryBefore",
    method="POST",
    paths=admin("/purge_history/{room_id}/{event_id}"),
    auth=Auth.ADMIN,
    params=EventParams,
    body=Purge,
    response=Begun,
)
get_purge: Endpoint[PurgeParams, NoBody, PurgeStatus] = Endpoint(
    operation_id="synapse.getHistoryPurge",
    method="GET",
    paths=admin("/purge_history_status/{purge_id}"),
    auth=Auth.ADMIN,
    params=PurgeParams,
    response=PurgeStatus,
)
