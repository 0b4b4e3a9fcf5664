"""Accounts and devices, for Matrix Authentication Service."""

from __future__ import annotations

import contextlib

from palpo.api.call import Call, Handlers, Reply
from palpo.core.errors import NotFound
from palpo.services.accounts.logins import check_device_id
from palpo.services.administration.delegated_accounts import DelegatedAccounts, Provisioned
from palpo.wire.delegate import accounts as wire
from palpo.wire.endpoint import NoBody, NoParams

handlers = Handlers()


def _accounts(call: Call) -> DelegatedAccounts:
    return call.services.administration.delegated_accounts


@handlers.serves(wire.query_user)
async def query_user(call: Call, params: wire.LocalpartParams, body: NoBody) -> wire.DelegatedUser:
    """GET /_synapse/mas/query_user."""
    account = await _accounts(call).find(params.localpart)
    profile = await _accounts(call).profile(account.user_id)
    return wire.DelegatedUser(
        user_id=account.user_id,
        display_name=profile.displayname,
        avatar_url=profile.avatar_url,
        is_suspended=account.suspended,
        is_deactivated=account.deactivated,
    )


@handlers.serves(wire.is_localpart_available)
async def is_localpart_available(call: Call, params: wire.LocalpartParams, body: NoBody) -> None:
    """GET /_synapse/mas/is_localpart_available."""
    await call.services.accounts.registration.check_available(params.localpart)


@handlers.serves(wire.provision_user)
async def provision_user(call: Call, params: NoParams, body: wire.Provision) -> Reply:
    """POST /_synapse/mas/provision_user: 201 where it was not there."""
    wanted = Provisioned(
        displayname="" if body.unset_displayname else body.set_displayname,
        avatar_url="" if body.unset_avatar_url else body.set_avatar_url,
        emails=[] if body.unset_emails else body.set_emails,
        locked=body.locked,
    )
    return _made(await _accounts(call).provision(body.localpart, wanted))


@handlers.serves(wire.upsert_device)
async def upsert_device(call: Call, params: NoParams, body: wire.DeviceUpsert) -> Reply:
    """POST /_synapse/mas/upsert_device: 201 where it was not there."""
    check_device_id(body.device_id)
    account = await _accounts(call).find(body.localpart)
    devices = call.services.accounts.devices
    return _made(await devices.ensure(account.user_id, body.device_id, body.display_name))


@handlers.serves(wire.update_device_display_name)
async def update_device_display_name(call: Call, params: NoParams, body: wire.DeviceName) -> None:
    """POST /_synapse/mas/update_device_display_name."""
    account = await _accounts(call).find(body.localpart)
    await call.services.accounts.devices.rename(account.user_id, body.device_id, body.display_name)


@handlers.serves(wire.delete_device)
async def delete_device(call: Call, params: NoParams, body: wire.DeviceBody) -> Reply:
    """POST /_synapse/mas/delete_device: there is nothing to say."""
    account = await _accounts(call).find(body.localpart)
    await call.services.accounts.devices.remove(account.user_id, [body.device_id])
    return Reply(status=204)


@handlers.serves(wire.sync_devices)
async def sync_devices(call: Call, params: NoParams, body: wire.DeviceList) -> None:
    """POST /_synapse/mas/sync_devices."""
    for device_id in body.devices:
        check_device_id(device_id)
    account = await _accounts(call).find(body.localpart)
    await _accounts(call).sync_devices(account.user_id, body.devices)


@handlers.serves(wire.delete_user)
async def delete_user(call: Call, params: NoParams, body: wire.Deletion) -> None:
    """POST /_synapse/mas/delete_user."""
    account = await _accounts(call).find(body.localpart)
    await _accounts(call).delete(account, erase=body.erase)


@handlers.serves(wire.reactivate_user)
async def reactivate_user(call: Call, params: NoParams, body: wire.UserBody) -> None:
    """POST /_synapse/mas/reactivate_user."""
    await _accounts(call).reactivate(await _accounts(call).find(body.localpart))


@handlers.serves(wire.set_displayname)
async def set_displayname(call: Call, params: NoParams, body: wire.DisplayName) -> None:
    """POST /_synapse/mas/set_displayname."""
    account = await _accounts(call).find(body.localpart)
    await _accounts(call).set_displayname(account.user_id, body.displayname)


@handlers.serves(wire.unset_displayname)
async def unset_displayname(call: Call, params: NoParams, body: wire.UserBody) -> None:
    """POST /_synapse/mas/unset_displayname."""
    account = await _accounts(call).find(body.localpart)
    await _accounts(call).set_displayname(account.user_id, "")


@handlers.serves(wire.allow_cross_signing_reset)
async def allow_cross_signing_reset(call: Call, params: NoParams, body: wire.UserBody) -> None:
    """POST /_synapse/mas/allow_cross_signing_reset; who has no keys needs no leave."""
    account = await _accounts(call).find(body.localpart)
    with contextlib.suppress(NotFound):
        await call.services.encryption.cross_signing.allow_replacement(account.user_id)


def _made(new: bool) -> Reply:
    return Reply(body=b"{}", status=201 if new else 200)
