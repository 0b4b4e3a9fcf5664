"""What the server is made of, and what is done in it: application services, jobs, the audit log, sessions."""

from __future__ import annotations

import json
from pathlib import Path

import orjson
from quart.typing import ResponseReturnValue

import palpo
from palpo.admin.pages import AdminPages, Done, administrator, path_of, show
from palpo.api.call import Call
from palpo.api.pages.browsers import Form
from palpo.wire.endpoint import NoParams
from palpo.wire.pages import admin as wire

blueprint = AdminPages("server", __name__)

RESULTS = Path(palpo.__file__).parents[1] / "results"
"""Of Complement, where the server runs from a checkout."""


@blueprint.serves(wire.appservices)
async def appservices(call: Call, params: NoParams) -> ResponseReturnValue:
    """GET /_palpo/admin/appservices."""
    return await show("appservices.html", call, registrations=call.services.server.registrations)


@blueprint.serves(wire.jobs)
async def jobs(call: Call, params: NoParams) -> ResponseReturnValue:
    """GET /_palpo/admin/jobs."""
    return await show("jobs.html", call, jobs=await call.services.server.jobs.find(limit=200))


@blueprint.serves(wire.job)
async def job(call: Call, params: wire.NameParams) -> ResponseReturnValue:
    """GET /_palpo/admin/jobs/{name}: shows itself anew every two seconds until the job has ended."""
    found = await call.services.server.jobs.get(params.name)
    return await show(
        "job.html",
        call,
        job=found,
        params=json.dumps(found.params, indent=1, ensure_ascii=False),
        result=json.dumps(found.result, indent=1, ensure_ascii=False),
    )


@blueprint.action(wire.cancel_job)
async def cancel_job(call: Call, params: wire.NameParams, form: Form) -> Done:
    """POST /_palpo/admin/jobs/{name}/cancel."""
    await call.services.server.jobs.cancel(params.name)
    return Done(text="It ends after its next step", then="/jobs" + path_of(params.name), target=params.name)


@blueprint.serves(wire.audit_log)
async def audit_log(call: Call, params: wire.AuditParams) -> ResponseReturnValue:
    """GET /_palpo/admin/audit-log."""
    actor = params.actor.strip()
    found = await call.services.server.audit_log.newest(
        before=params.before, limit=wire.PAGE, actor=actor or None
    )
    entries = [(entry, orjson.loads(entry.details)) for entry in found]
    return await show(
        "audit_log.html",
        call,
        entries=entries,
        actor=actor,
        older=found[-1].position if len(found) == wire.PAGE else None,
    )


@blueprint.serves(wire.sessions)
async def sessions(call: Call, params: NoParams) -> ResponseReturnValue:
    """GET /_palpo/admin/sessions."""
    browser = await administrator(call)
    found = await call.services.accounts.browser_sessions.list(browser.user_id)
    return await show("sessions.html", call, browsers=found, this=browser.session_id)


@blueprint.action(wire.end_session)
async def end_session(call: Call, params: wire.NameParams, form: Form) -> Done:
    """POST /_palpo/admin/sessions/{name}/end."""
    browser = await administrator(call)
    await call.services.accounts.browser_sessions.end_named(browser.user_id, params.name)
    return Done(text="That browser is signed out", then="/sessions", target=params.name)


@blueprint.serves(wire.conformance)
async def conformance(call: Call, params: NoParams) -> ResponseReturnValue:
    """GET /_palpo/admin/conformance."""
    features: list[tuple[str, int, int]] = []
    for path in sorted(RESULTS.glob("*.jsonl")) if RESULTS.is_dir() else ():
        if path.name != "expectations.jsonl":
            rows = [orjson.loads(line) for line in path.read_bytes().splitlines()]
            counted = [row for row in rows if row.get("status") in ("pass", "fail")]
            passed = sum(row["status"] == "pass" for row in counted)
            features.append((path.stem.replace("_", " "), passed, len(counted)))
    run = orjson.loads((RESULTS / "run.json").read_bytes()) if (RESULTS / "run.json").is_file() else {}
    return await show("conformance.html", call, features=features, run=run)
