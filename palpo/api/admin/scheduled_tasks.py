"""Long work, for administrators."""

from __future__ import annotations

from palpo.api.call import Call, Handlers
from palpo.core.records.jobs import Job
from palpo.wire.admin import scheduled_tasks as wire
from palpo.wire.endpoint import NoBody

handlers = Handlers()


@handlers.serves(wire.list_tasks)
async def list_tasks(call: Call, params: wire.TasksParams, body: NoBody) -> wire.Tasks:
    """GET /_synapse/admin/v1/scheduled_tasks."""
    found = await call.services.server.jobs.find(
        kind=params.action_name or None,
        target=params.resource_id or None,
        state=params.status or params.job_status,
    )
    before = params.max_timestamp
    return wire.Tasks(
        scheduled_tasks=[_task(job) for job in found if before is None or job.changed_ts < before]
    )


def _task(job: Job) -> wire.Task:
    return wire.Task(
        id=job.job_id,
        action=job.kind,
        status=job.state.value,
        timestamp_ms=job.changed_ts,
        resource_id=job.target or None,
        result=job.result,
        error=job.error or None,
    )
