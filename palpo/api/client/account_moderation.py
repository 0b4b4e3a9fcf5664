"""Locking and suspending accounts, and who is who."""

from typing import Any

from palpo.api.call import Call, Handlers
from palpo.core.errors import Forbidden, NotFound
from palpo.wire.client import account_moderation as wire
from palpo.wire.endpoint import NoBody, UserParams

handlers = Handlers()


def serve(endpoints: wire.Moderation[Any]) -> None:
    """GET and PUT /admin/{verb}/{userId}: of a flag of an account's."""
    get, put = endpoints
    (flag,) = get.response.__struct_fields__

    @handlers.serves(get)
    async def see(call: Call, params: UserParams, body: NoBody) -> Any:
        account = await call.services.accounts.accounts.moderated(params.user_id)
        return get.response(**{flag: getattr(account, flag)})

    @handlers.serves(put)
    async def set_(call: Call, params: UserParams, body: Any) -> Any:
        account = await call.services.accounts.accounts.moderated(params.user_id)
        await call.services.accounts.accounts.set_flags(account.user_id, **{flag: getattr(body, flag)})
        return body


for moderation in wire.MODERATIONS:
    serve(moderation)


@handlers.serves(wire.who_is)
async def who_is(call: Call, params: UserParams, body: NoBody) -> wire.WhoIs:
    """GET /admin/whois/{userId}: of oneself, or of anyone for administrators."""
    if params.user_id != call.user_id and not call.requester.is_admin:
        raise Forbidden("Only administrators may look at others")
    if await call.services.accounts.accounts.find(params.user_id) is None:
        raise NotFound("There is no such user")
    devices = {}
    for device in await call.services.accounts.devices.list(params.user_id):
        seen = wire.Connection(
            ip=device.last_seen_ip, last_seen=device.last_seen_ts, user_agent=device.user_agent
        )
        connections = [seen] if device.last_seen_ts is not None else []
        devices[device.device_id] = wire.DeviceSessions(
            sessions=[wire.DeviceSession(connections=connections)]
        )
    return wire.WhoIs(user_id=params.user_id, devices=devices)
