"""Long work that administrators have begun."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import bindparam, delete, func, select, update

from palpo.core.records.jobs import Job, JobState, Json
from palpo.db.statements import Statement, in_list, insert_row
from palpo.db.tables.jobs import jobs
from palpo.db.transaction import Row, Transaction, WriteTransaction
from palpo.streams import topics

j = jobs.c
_COLUMNS = tuple(jobs.columns)
_INSERT = insert_row(jobs)
_THIS = j.job_id == bindparam("id")
_FIND = Statement(select(*_COLUMNS).where(_THIS))
_OF_TARGET = Statement(select(*_COLUMNS).where(j.target == bindparam("of_target")).order_by(j.created_ts))
_OPEN = Statement(
    select(*_COLUMNS)
    .where(in_list(j.state, "states"))
    .order_by(j.created_ts, j.job_id)
    .limit(bindparam("limit"))
)
_NEWEST = Statement(
    select(*_COLUMNS)
    .where(j.created_ts < bindparam("before"))
    .order_by(j.created_ts.desc(), j.job_id.desc())
    .limit(bindparam("limit"))
)
_COUNTS = Statement(select(j.state, func.count()).group_by(j.state))
_SAVE = Statement(
    update(jobs)
    .where(_THIS, j.state == JobState.ACTIVE.value)
    .values(checkpoint=bindparam("at"), progress=bindparam("so_far"), changed_ts=bindparam("now"))
)
_MOVE = Statement(
    update(jobs)
    .where(_THIS, in_list(j.state, "states"))
    .values(
        state=bindparam("to"),
        result=bindparam("outcome"),
        error=bindparam("why"),
        changed_ts=bindparam("now"),
    )
)
_FORGET = Statement(delete(jobs).where(j.changed_ts < bindparam("before"), in_list(j.state, "states")))
OPEN = (JobState.SCHEDULED.value, JobState.ACTIVE.value)
ENDED = tuple(state.value for state in JobState if state.ended)


async def insert(tx: WriteTransaction, new: Job) -> None:
    """Store a job."""
    await tx.run(
        _INSERT,
        job_id=new.job_id,
        kind=new.kind,
        target=new.target,
        params=orjson.dumps(new.params),
        requested_by=new.requested_by,
        state=new.state.value,
        checkpoint=orjson.dumps(new.checkpoint),
        progress=orjson.dumps(new.progress),
        result=orjson.dumps(new.result),
        error=new.error,
        created_ts=new.created_ts,
        changed_ts=new.changed_ts,
    )
    await tx.positions()
    tx.notify(topics.JOBS, new.job_id)


async def find(tx: Transaction, job_id: str) -> Job | None:
    """A job."""
    row = await tx.one(_FIND, id=job_id)
    return None if row is None else _job(row)


async def of_target(tx: Transaction, target: str) -> list[Job]:
    """What was begun with something, the oldest first."""
    return [_job(row) for row in await tx.all(_OF_TARGET, of_target=target)]


async def open_jobs(tx: Transaction, limit: int) -> list[Job]:
    """What has not ended, the oldest first."""
    return [_job(row) for row in await tx.all(_OPEN, states=list(OPEN), limit=limit)]


async def newest(tx: Transaction, *, before_ts: int, limit: int) -> list[Job]:
    """What was begun before a time, the newest first."""
    return [_job(row) for row in await tx.all(_NEWEST, before=before_ts, limit=limit)]


async def counts(tx: Transaction) -> dict[str, int]:
    """How many jobs are in each state; those that none is in are left out."""
    return {row[0]: int(row[1]) for row in await tx.all(_COUNTS)}


async def save(tx: WriteTransaction, job_id: str, *, checkpoint: Json, progress: Json, now_ms: int) -> bool:
    """Store how far a job is; False where it is not active any more."""
    changed = await tx.run(
        _SAVE, id=job_id, at=orjson.dumps(checkpoint), so_far=orjson.dumps(progress), now=now_ms
    )
    tx.notify(topics.JOB_PROGRESS, job_id)
    return changed > 0


async def move(
    tx: WriteTransaction,
    job_id: str,
    to: JobState,
    *,
    now_ms: int,
    result: Json | None = None,
    error: str = "",
) -> bool:
    """Begin or end a job; False where it has ended already."""
    changed = await tx.run(
        _MOVE,
        id=job_id,
        states=list(OPEN),
        to=to.value,
        outcome=orjson.dumps(result),
        why=error,
        now=now_ms,
    )
    await tx.positions()
    tx.notify(topics.JOBS, job_id)
    tx.notify(topics.JOB_PROGRESS, job_id)
    return changed > 0


async def forget(tx: WriteTransaction, *, before_ts: int, limit: int) -> int:
    """Forget what has ended before a time; how many. ``limit`` is not needed: there are few."""
    return await tx.run(_FORGET, before=before_ts, states=list(ENDED))


def _job(row: Row) -> Job:
    values: dict[str, Any] = dict(zip((column.name for column in _COLUMNS), row, strict=True))
    for name in ("params", "checkpoint", "progress", "result"):
        values[name] = orjson.loads(values[name])
    return Job(**{**values, "state": JobState(values["state"])})
