"""Backups: those that are there, and a new one."""

from __future__ import annotations

from quart.typing import ResponseReturnValue

from palpo.admin.pages import AdminPages, Done, administrator, path_of, show
from palpo.api.call import Call
from palpo.api.pages.browsers import Form
from palpo.wire.endpoint import NoParams
from palpo.wire.pages import admin as wire

blueprint = AdminPages("backups", __name__)


@blueprint.serves(wire.backups)
async def backups(call: Call, params: NoParams) -> ResponseReturnValue:
    """GET /_palpo/admin/backups."""
    return await show(
        "backups.html",
        call,
        backups=await call.services.administration.backups.all(),
        config=call.services.server.config.backup,
    )


@blueprint.action(wire.begin_backup)
async def begin_backup(call: Call, params: NoParams, form: Form) -> Done:
    """POST /_palpo/admin/backups."""
    by = (await administrator(call)).user_id
    job_id = await call.services.administration.backups.begin(requested_by=by)
    return Done(text="A backup is being made", then="/jobs" + path_of(job_id))
