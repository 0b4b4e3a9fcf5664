"""GET /sync."""

from palpo.api.call import Call, Handlers
from palpo.sync.assemble import StateSection
from palpo.sync.v3 import SyncRequest
from palpo.wire.client import sync as wire
from palpo.wire.endpoint import NoBody

handlers = Handlers()
FROM_THE_BEGINNING = 20
"""What a sync costs more that tells everything."""


@handlers.serves(wire.sync)
async def sync(call: Call, params: wire.SyncParams, body: NoBody) -> wire.SyncResponse:
    """GET /sync: also says that the user is there."""
    services, requester = call.services, call.requester
    if params.since is None:
        call.charge(FROM_THE_BEGINNING)
    filter_ = await services.sync.filters.get(requester.user_id, params.filter)
    await services.personal.presence.syncing(requester, params.set_presence, params.timeout)
    request = SyncRequest(
        since=params.since,
        timeout_ms=max(params.timeout, 0),
        filter=filter_,
        full_state=params.full_state,
        section=_section(params),
    )
    return await services.sync.v3.sync(requester, request)


def _section(params: wire.SyncParams) -> StateSection:
    if params.use_state_after:
        return StateSection.AFTER
    return StateSection.AFTER_UNSTABLE if params.unstable_use_state_after else StateSection.BEFORE
