"""Locking and suspending accounts, and who is who."""

from palpo.api.call import Call, Handlers
from palpo.core.errors import Forbidden, NotFound
from palpo.core.identifiers import parse_user_id
from palpo.wire.client import account_moderation as wire
from palpo.wire.endpoint import NoBody

handlers = Handlers()


@handlers.serves(wire.get_lock)
async def get_lock(call: Call, params: wire.UserParams, body: NoBody) -> wire.Locked:
    """GET /admin/lock/{userId}."""
    return wire.Locked(locked=(await call.services.accounts.accounts.moderated(params.user_id)).locked)


@handlers.serves(wire.set_lock)
async def set_lock(call: Call, params: wire.UserParams, body: wire.Lock) -> wire.Locked:
    """PUT /admin/lock/{userId}."""
    account = await call.services.accounts.accounts.moderated(params.user_id)
    await call.services.accounts.accounts.set_locked(account.user_id, body.locked)
    return wire.Locked(locked=body.locked)


@handlers.serves(wire.get_suspension)
async def get_suspension(call: Call, params: wire.UserParams, body: NoBody) -> wire.Suspended:
    """GET /admin/suspend/{userId}."""
    return wire.Suspended(
        suspended=(await call.services.accounts.accounts.moderated(params.user_id)).suspended
    )


@handlers.serves(wire.set_suspension)
async def set_suspension(call: Call, params: wire.UserParams, body: wire.Suspend) -> wire.Suspended:
    """PUT /admin/suspend/{userId}."""
    account = await call.services.accounts.accounts.moderated(params.user_id)
    await call.services.accounts.accounts.set_suspended(account.user_id, body.suspended)
    return wire.Suspended(suspended=body.suspended)


@handlers.serves(wire.who_is)
async def who_is(call: Call, params: wire.UserParams, body: NoBody) -> wire.WhoIs:
    """GET /admin/whois/{userId}: of oneself, or of anyone for administrators."""
    if params.user_id != call.user_id and not call.requester.is_admin:
        raise Forbidden("Only administrators may look at others")
    if await call.services.accounts.accounts.find(parse_user_id(params.user_id)) is None:
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
