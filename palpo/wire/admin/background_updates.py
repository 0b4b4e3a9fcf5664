"""What the server brings up to date of its own accord (Synapse's "Background updates" API)."""

from __future__ import annotations

from enum import Enum

from palpo.wire.admin.common import admin
from palpo.wire.endpoint import Auth, Body, Endpoint, NoBody, NoParams, Response


class Enabled(Body, frozen=True):
    """Whether they go on, or are paused."""

    enabled: bool


class EnabledAnswer(Response, frozen=True):
    """The same."""

    enabled: bool


class CurrentUpdate(Response, frozen=True):
    """One that is under way: the rooms or users that it has seen to, and how long it has worked.

    ``average_items_per_ms`` is None before it has.
    """

    name: str
    total_item_count: int
    total_duration_ms: float
    average_items_per_ms: float | None


class Status(Response, frozen=True):
    """Whether they go on, and those that are under way, the first as ``master``."""

    enabled: bool
    current_updates: dict[str, CurrentUpdate]


class JobName(Enum):
    """What can be begun by hand."""

    ROOMS = "populate_stats_process_rooms"
    USER_DIRECTORY = "regenerate_directory"


class JobOrder(Body, frozen=True):
    """What is to be begun."""

    job_name: JobName


get_status: Endpoint[NoParams, NoBody, Status] = Endpoint(
    operation_id="synapse.getBackgroundUpdatesStatus",
    method="GET",
    paths=admin("/background_updates/status"),
    auth=Auth.ADMIN,
    response=Status,
)
get_enabled: Endpoint[NoParams, NoBody, EnabledAnswer] = Endpoint(
    operation_id="synapse.getBackgroundUpdatesEnabled",
    method="GET",
    paths=admin("/background_updates/enabled"),
    auth=Auth.ADMIN,
    response=EnabledAnswer,
)
set_enabled: Endpoint[NoParams, Enabled, EnabledAnswer] = Endpoint(
    operation_id="synapse.setBackgroundUpdatesEnabled",
    method="POST",
    paths=admin("/background_updates/enabled"),
    auth=Auth.ADMIN,
    body=Enabled,
    response=EnabledAnswer,
)
start_job: Endpoint[NoParams, JobOrder, None] = Endpoint(
    operation_id="synapse.startBackgroundUpdate",
    method="POST",
    paths=admin("/background_updates/start_job"),
    auth=Auth.ADMIN,
    body=JobOrder,
)
