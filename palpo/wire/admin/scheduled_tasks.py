"""Long work, for administrators (Synapse's "Scheduled tasks" API)."""

from __future__ import annotations

from typing import Any

from palpo.core.records.jobs import JobState
from palpo.wire.admin.common import Milliseconds, admin
from palpo.wire.endpoint import Auth, Endpoint, NoBody, Params, Response


class TasksParams(Params, frozen=True):
    """Which tasks; what is None or empty may be any. ``max_timestamp``: those that changed before it.

    Synapse's documentation has ``status``, and Synapse ``job_status``.
    """

    action_name: str | None = None
    resource_id: str | None = None
    status: JobState | None = None
    job_status: JobState | None = None
    max_timestamp: Milliseconds | None = None


class Task(Response, frozen=True):
    """A task; ``timestamp_ms`` is when its state changed last, since the Unix epoch."""

    id: str
    action: str
    status: str
    timestamp_ms: int
    resource_id: str | None
    result: dict[str, Any] | None
    error: str | None


class Tasks(Response, frozen=True):
    """Tasks, the newest first."""

    scheduled_tasks: list[Task]


list_tasks: Endpoint[TasksParams, NoBody, Tasks] = Endpoint(
    operation_id="synapse.listScheduledTasks",
    method="GET",
    paths=admin("/scheduled_tasks"),
    auth=Auth.ADMIN,
    params=TasksParams,
    response=Tasks,
)
