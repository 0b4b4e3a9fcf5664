"""Long work, followed until it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from palpo.cli.outcomes import Outcome, Tell
from palpo.core.records.jobs import Job, JobState

if TYPE_CHECKING:
    from palpo.api.services import Services

LOOK_S = 5.0
"""How often is looked without news."""


async def follow(services: Services, job: Job, tell: Tell, *, served: bool = True) -> Outcome:
    """Tell how far ``job`` is until it ends; what it came to.

    Where no server runs nobody does it: then that is said.
    """
    if not served and not job.state.ended:
        return Outcome(
            f"No server runs here: {job.kind} begins once one does, as job {job.job_id}", shown_job(job)
        )
    told = ""
    while not job.state.ended:
        line = line_of_job(job)
        if line != told:
            tell(told := line)
        job = await services.server.jobs.follow(job, timeout_s=LOOK_S)
    status = 0 if job.state is JobState.COMPLETE else 1
    return Outcome(line_of_job(job), shown_job(job), status)


def begun(job: Job) -> Outcome:
    """A job that is followed from now on."""
    return Outcome(line_of_job(job), shown_job(job), job=job)


def line_of_job(job: Job) -> str:
    """A job in a line."""
    about = f" of {job.target}" if job.target else ""
    what = job.result if job.state is JobState.COMPLETE else job.progress
    facts = ", ".join(f"{name} {value}" for name, value in (what or {}).items() if _is_short(value))
    end = job.error or facts
    return f"{job.job_id}  {job.kind}{about}  {job.state.value}{f': {end}' if end else ''}"


def shown_job(job: Job) -> dict[str, object]:
    """A job for programs."""
    return {
        "job_id": job.job_id,
        "kind": job.kind,
        "target": job.target,
        "state": job.state.value,
        "requested_by": job.requested_by,
        "progress": job.progress,
        "result": job.result,
        "error": job.error,
        "created_ts": job.created_ts,
        "changed_ts": job.changed_ts,
    }


def _is_short(value: object) -> bool:
    return isinstance(value, str | int | float) and len(str(value)) <= 80
