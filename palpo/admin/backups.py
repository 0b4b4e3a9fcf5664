"""Backups: those that are there, a new one, and putting one back when the server starts next."""

from __future__ import annotations

import asyncio
from pathlib import Path

from quart import make_response
from quart.typing import ResponseReturnValue

from palpo.admin.pages import AdminPages, Done, administrator, path_of, show
from palpo.api.call import Call
from palpo.api.pages.browsers import Form
from palpo.api.pages.security import allow
from palpo.wire.endpoint import NoParams
from palpo.wire.pages import admin as wire

blueprint = AdminPages("backups", __name__)


@blueprint.serves(wire.backups)
async def backups(call: Call, params: NoParams) -> ResponseReturnValue:
    """GET /_palpo/admin/backups."""
    service = call.services.administration.backups
    planned, restored = await asyncio.to_thread(lambda: (service.planned(), service.restored()))
    return await show(
        "backups.html",
        call,
        backups=await service.all(),
        config=call.services.server.config.backup,
        planned=planned,
        planned_name=Path(planned.folder).name if planned else "",
        restored=restored,
        restored_name=Path(restored.plan.folder).name if restored else "",
        former=Path(restored.plan.former).name if restored else "",
        can_restart=call.services.server.restarts.possible,
    )


@blueprint.action(wire.begin_backup)
async def begin_backup(call: Call, params: NoParams, form: Form) -> Done:
    """POST /_palpo/admin/backups."""
    by = (await administrator(call)).user_id
    job_id = await call.services.administration.backups.begin(requested_by=by)
    return Done(text="A backup is being made", then="/jobs" + path_of(job_id))


@blueprint.action(wire.verify_backup)
async def verify_backup(call: Call, params: wire.NameParams, form: Form) -> Done:
    """POST /_palpo/admin/backups/{name}/verify: begins a job, which shows how far it is."""
    by = (await administrator(call)).user_id
    job_id = await call.services.administration.backups.verify(params.name, requested_by=by)
    return Done(text="All of it is being read", then="/jobs" + path_of(job_id), target=params.name)


@blueprint.action(wire.plan_restore)
async def plan_restore(call: Call, params: wire.NameParams, form: Form) -> Done:
    """POST /_palpo/admin/backups/{name}/restore: at the next start."""
    await call.services.administration.backups.plan_restore(
        params.name,
        log_out="log_out" in form,
        requested_by=(await administrator(call)).user_id,
        address=call.client_address,
    )
    text = f"{params.name} is put back when the server starts next"
    return Done(text=text, then="/backups", target=params.name)


@blueprint.action(wire.give_up_restore)
async def give_up_restore(call: Call, params: NoParams, form: Form) -> Done:
    """POST /_palpo/admin/backups/keep."""
    call.services.administration.backups.give_up_restore()
    return Done(text="Nothing is put back", then="/backups")


@blueprint.action(wire.restart)
async def restart(call: Call, params: NoParams, form: Form) -> Done:
    """POST /_palpo/admin/restart: a page that waits until the server is there again."""
    call.services.server.restarts.begin()
    allow(connect_src="'self'")
    then = form.get("back", "/")
    page = await make_response(await show("restart.html", call, then=then if then in PLACES else "/"))
    return Done(text="", then="", page=page)


PLACES = ("/backups", "/configuration")
"""From where a restart is asked for."""
