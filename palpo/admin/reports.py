"""What users have reported."""

from __future__ import annotations

from quart.typing import ResponseReturnValue

from palpo.admin.pages import AdminPages, Done, count_of_pages, show
from palpo.api.call import Call
from palpo.api.pages.browsers import Form
from palpo.core.errors import NotFound
from palpo.wire.pages import admin as wire

blueprint = AdminPages("reports", __name__)

KINDS = {"": "All", "event": "Events", "room": "Rooms", "user": "Users"}


@blueprint.serves(wire.reports)
async def reports(call: Call, params: wire.ReportsParams) -> ResponseReturnValue:
    """GET /_palpo/admin/reports."""
    about = params.about if params.about in KINDS else ""
    total, found = await call.services.administration.reports.page(
        skipped=params.skipped, limit=wire.PAGE, about=about or None
    )
    return await show(
        "reports.html",
        call,
        reports=found,
        kinds=KINDS,
        about=about,
        page=params.page,
        pages_of=count_of_pages(total, wire.PAGE),
        total=total,
    )


@blueprint.action(wire.delete_report)
async def delete_report(call: Call, params: wire.NameParams, form: Form) -> Done:
    """POST /_palpo/admin/reports/{name}/delete."""
    if not params.name.isdecimal() or len(params.name) > 18:
        raise NotFound("There is no such report")
    await call.services.administration.reports.delete(int(params.name))
    return Done(text="The report is dismissed", then="/reports", target=params.name)
