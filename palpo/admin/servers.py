"""Other servers, and how this one is found by them."""

from __future__ import annotations

from quart.typing import ResponseReturnValue

from palpo.admin.pages import AdminPages, Done, count_of_pages, path_of, show
from palpo.api.call import Call
from palpo.api.pages.browsers import Form
from palpo.core.errors import NotFound
from palpo.services.administration.destinations import KnownServer
from palpo.wire.pages import admin as wire

blueprint = AdminPages("servers", __name__)

SHOWN_ROOMS = 200


@blueprint.serves(wire.servers)
async def servers(call: Call, params: wire.ListParams) -> ResponseReturnValue:
    """GET /_palpo/admin/servers."""
    found = await call.services.administration.destinations.all()
    wanted = params.search.strip().lower()
    found = [server for server in found if wanted in server.name]
    found.sort(key=lambda server: (server.failing_since_ts is None, server.name))
    return await show(
        "servers.html",
        call,
        servers=found[params.skipped : params.skipped + wire.PAGE],
        total=len(found),
        search=params.search,
        page=params.page,
        pages_of=count_of_pages(len(found), wire.PAGE),
    )


@blueprint.serves(wire.server)
async def server(call: Call, params: wire.NameParams) -> ResponseReturnValue:
    """GET /_palpo/admin/servers/{name}."""
    known: KnownServer | None = None
    rooms: list[tuple[str, int]] = []
    try:
        known = await call.services.administration.destinations.find(params.name)
        rooms = await call.services.administration.destinations.rooms(params.name)
    except NotFound:
        if params.name != call.services.server.name:
            raise
    return await show(
        "server.html",
        call,
        name=params.name,
        known=known,
        rooms=rooms[:SHOWN_ROOMS],
        total=len(rooms),
        ours=params.name == call.services.server.name,
        findings=None,
    )


@blueprint.form(wire.check_server)
async def check_server(call: Call, params: wire.NameParams, form: Form) -> ResponseReturnValue:
    """POST /_palpo/admin/servers/{name}/check: it changes nothing, so it is in no log."""
    found = await call.services.administration.server_checks.look(params.name)
    return await show(
        "server.html",
        call,
        name=params.name,
        known=None,
        rooms=[],
        total=0,
        ours=params.name == call.services.server.name,
        findings=found,
    )


@blueprint.action(wire.retry_server)
async def retry_server(call: Call, params: wire.NameParams, form: Form) -> Done:
    """POST /_palpo/admin/servers/{name}/retry."""
    await call.services.administration.destinations.retry(params.name)
    return Done(
        text=f"{params.name} is tried now", then="/servers" + path_of(params.name), target=params.name
    )
