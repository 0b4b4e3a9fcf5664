"""Accounts, for administrators."""

from __future__ import annotations

from palpo.api.call import Call, Handlers, Reply
from palpo.api.codec import encode
from palpo.core.errors import BadRequest, NotFound
from palpo.core.identifiers import UserId
from palpo.services.administration.user_lists import ShownUser, WholeUser
from palpo.services.administration.users import KEEP, Change
from palpo.wire.admin import users as wire
from palpo.wire.admin.common import Direction
from palpo.wire.endpoint import NoBody, UserParams

handlers = Handlers()
FEATURES = {"msc3881": False, "msc3575": True, "msc4222": True}
"""Which of the features that Synapse has for some users are here, for all of them."""


@handlers.serves(wire.list_users)
async def list_users(call: Call, params: wire.UsersParams, body: NoBody) -> wire.Users:
    """GET /_synapse/admin/v2/users."""
    return await _page(call, params, None if params.deactivated else False)


@handlers.serves(wire.list_users_v3)
async def list_users_v3(call: Call, params: wire.UsersV3Params, body: NoBody) -> wire.Users:
    """GET /_synapse/admin/v3/users."""
    return await _page(call, params, params.deactivated)


async def _page(
    call: Call, params: wire.UsersParams | wire.UsersV3Params, deactivated: bool | None
) -> wire.Users:
    total, found = await call.services.administration.user_lists.page(
        order=params.order_by.value,
        backwards=params.dir is Direction.BACKWARDS,
        skipped=params.from_,
        limit=params.size,
        guest=None if params.guests else False,
        admin=params.admins,
        deactivated=deactivated,
        locked=None if params.locked else False,
        not_types=params.not_user_type,
        name=params.name or "",
        user_id=params.in_user_id or "",
    )
    after = params.next_token(total)
    return wire.Users(
        users=[_listed(item) for item in found], total=total, next_token=None if after is None else str(after)
    )


@handlers.serves(wire.get_user)
async def get_user(call: Call, params: UserParams, body: NoBody) -> wire.User:
    """GET /_synapse/admin/v2/users/{user_id}."""
    return await _whole(call, params.user_id)


@handlers.serves(wire.put_user)
async def put_user(call: Call, params: UserParams, body: wire.UserChange) -> Reply:
    """PUT /_synapse/admin/v2/users/{user_id}: 201 where it was not there."""
    threepids, external_ids = body.threepids, body.external_ids
    change = Change(
        password=body.password,
        log_out=body.logout_devices,
        displayname=body.displayname,
        avatar_url=body.avatar_url,
        threepids=None if threepids is None else [(item.medium, item.address) for item in threepids],
        external_ids=None
        if external_ids is None
        else [(item.auth_provider, item.external_id) for item in external_ids],
        admin=body.admin,
        deactivated=body.deactivated,
        locked=body.locked,
        suspended=body.suspended,
        user_type=body.user_type if isinstance(body.user_type, str | None) else KEEP,
    )
    made = await call.services.administration.users.put(params.user_id, change, by=call.user_id)
    return Reply(body=encode(await _whole(call, params.user_id)), status=201 if made else 200)


@handlers.serves(wire.get_admin)
async def get_admin(call: Call, params: UserParams, body: NoBody) -> wire.AdminFlag:
    """GET /_synapse/admin/v1/users/{user_id}/admin: who is nobody is no administrator."""
    try:
        account = await call.services.administration.user_lists.account(params.user_id)
    except NotFound:
        return wire.AdminFlag(admin=False)
    return wire.AdminFlag(admin=account.is_admin)


@handlers.serves(wire.set_admin)
async def set_admin(call: Call, params: UserParams, body: wire.AdminFlag) -> None:
    """PUT /_synapse/admin/v1/users/{user_id}/admin."""
    await call.services.administration.users.set_admin(params.user_id, body.admin, by=call.user_id)


@handlers.serves(wire.deactivate)
async def deactivate(call: Call, params: UserParams, body: wire.Deactivation) -> wire.Deactivated:
    """POST /_synapse/admin/v1/deactivate/{user_id}."""
    unbound = await call.services.administration.users.deactivate(params.user_id, erase=body.erase)
    return wire.Deactivated(id_server_unbind_result="success" if unbound else "no-support")


@handlers.serves(wire.reset_password)
async def reset_password(call: Call, params: UserParams, body: wire.NewPassword) -> None:
    """POST /_synapse/admin/v1/reset_password/{user_id}."""
    users = call.services.administration.users
    await users.set_password(params.user_id, body.new_password, log_out=body.logout_devices)


@handlers.serves(wire.suspend)
async def suspend(call: Call, params: UserParams, body: wire.Suspension) -> dict[str, bool]:
    """PUT /_synapse/admin/v1/suspend/{user_id}."""
    await call.services.administration.users.set_flags(params.user_id, suspended=body.suspend)
    return {f"user_{params.user_id}_suspended": body.suspend}


@handlers.serves(wire.shadow_ban)
async def shadow_ban(call: Call, params: UserParams, body: NoBody) -> None:
    """POST /_synapse/admin/v1/users/{user_id}/shadow_ban."""
    await call.services.administration.users.set_flags(params.user_id, shadow_banned=True)


@handlers.serves(wire.lift_shadow_ban)
async def lift_shadow_ban(call: Call, params: UserParams, body: NoBody) -> None:
    """DELETE /_synapse/admin/v1/users/{user_id}/shadow_ban."""
    await call.services.administration.users.set_flags(params.user_id, shadow_banned=False)


@handlers.serves(wire.log_in_as)
async def log_in_as(call: Call, params: UserParams, body: wire.LoginAs) -> wire.LoggedInAs:
    """POST /_synapse/admin/v1/users/{user_id}/login."""
    token = await call.services.administration.users.log_in_as(
        params.user_id, by=call.user_id, valid_until_ms=body.valid_until_ms
    )
    return wire.LoggedInAs(access_token=token)


@handlers.serves(wire.get_rate_limit)
async def get_rate_limit(call: Call, params: UserParams, body: NoBody) -> wire.RateLimit:
    """GET /_synapse/admin/v1/users/{user_id}/override_ratelimit."""
    found = await call.services.administration.users.rate_limit(params.user_id)
    if found is None:
        return wire.RateLimit()
    return wire.RateLimit(messages_per_second=found.per_second, burst_count=found.burst)


@handlers.serves(wire.set_rate_limit)
async def set_rate_limit(call: Call, params: UserParams, body: wire.NewRateLimit) -> wire.RateLimit:
    """POST /_synapse/admin/v1/users/{user_id}/override_ratelimit."""
    per_second, burst = body.messages_per_second or 0, body.burst_count or 0
    users = call.services.administration.users
    await users.set_rate_limit(params.user_id, per_second=per_second, burst=burst)
    return wire.RateLimit(messages_per_second=per_second, burst_count=burst)


@handlers.serves(wire.delete_rate_limit)
async def delete_rate_limit(call: Call, params: UserParams, body: NoBody) -> None:
    """DELETE /_synapse/admin/v1/users/{user_id}/override_ratelimit."""
    await call.services.administration.users.remove_rate_limit(params.user_id)


@handlers.serves(wire.username_available)
async def username_available(call: Call, params: wire.UsernameParams, body: NoBody) -> wire.Available:
    """GET /_synapse/admin/v1/username_available."""
    await call.services.accounts.registration.check_available(params.username)
    return wire.Available(available=True)


@handlers.serves(wire.find_by_external_id)
async def find_by_external_id(call: Call, params: wire.ExternalIdParams, body: NoBody) -> wire.Found:
    """GET /_synapse/admin/v1/auth_providers/{provider}/users/{external_id}."""
    lists = call.services.administration.user_lists
    return wire.Found(user_id=await lists.by_external_id(params.provider, params.external_id))


@handlers.serves(wire.find_by_threepid)
async def find_by_threepid(call: Call, params: wire.ThreepidParams, body: NoBody) -> wire.Found:
    """GET /_synapse/admin/v1/threepid/{medium}/users/{address}."""
    lists = call.services.administration.user_lists
    return wire.Found(user_id=await lists.by_threepid(params.medium, params.address))


@handlers.serves(wire.allow_cross_signing_replacement)
async def allow_cross_signing_replacement(call: Call, params: UserParams, body: NoBody) -> wire.Replaceable:
    """POST /_synapse/admin/v1/users/{user_id}/_allow_cross_signing_replacement_without_uia."""
    await call.services.administration.user_lists.account(params.user_id)
    until = await call.services.encryption.cross_signing.allow_replacement(params.user_id)
    return wire.Replaceable(updatable_without_uia_before_ms=until)


@handlers.serves(wire.get_features)
async def get_features(call: Call, params: UserParams, body: NoBody) -> wire.Features:
    """GET /_synapse/admin/v1/experimental_features/{user_id}."""
    call.services.administration.user_lists.check_local(params.user_id)
    return wire.Features(features=FEATURES)


@handlers.serves(wire.set_features)
async def set_features(call: Call, params: UserParams, body: wire.Features) -> None:
    """PUT /_synapse/admin/v1/experimental_features/{user_id}: what is here is so for all users."""
    await call.services.administration.user_lists.account(params.user_id)
    for name, wanted in body.features.items():
        if name not in FEATURES:
            raise BadRequest(f"{name!r} is no experimental feature")
        if wanted != FEATURES[name]:
            raise BadRequest(f"{name} is {'on' if FEATURES[name] else 'not there'} for all users")


async def _whole(call: Call, user_id: UserId) -> wire.User:
    return _user(await call.services.administration.user_lists.whole(user_id))


def _listed(item: ShownUser) -> wire.ListedUser:
    user = item.user
    return wire.ListedUser(
        name=user.user_id,
        user_type=user.user_type,
        is_guest=user.is_guest,
        admin=user.is_admin,
        deactivated=user.deactivated,
        shadow_banned=user.shadow_banned,
        displayname=item.profile.displayname,
        avatar_url=item.profile.avatar_url,
        creation_ts=user.created_ts,
        erased=user.erased,
        last_seen_ts=user.last_seen_ts or None,
        locked=user.locked,
    )


def _user(found: WholeUser) -> wire.User:
    account = found.account
    return wire.User(
        name=account.user_id,
        admin=account.is_admin,
        deactivated=account.deactivated,
        locked=account.locked,
        shadow_banned=account.shadow_banned,
        creation_ts=account.created_ts // 1000,
        appservice_id=account.appservice_id,
        consent_server_notice_sent=None,
        consent_version=None,
        consent_ts=None,
        user_type=account.user_type,
        is_guest=account.is_guest,
        suspended=account.suspended,
        displayname=found.profile.displayname,
        avatar_url=found.profile.avatar_url,
        threepids=[
            wire.Threepid(
                medium=item.medium,
                address=item.address,
                validated_at=item.validated_ts,
                added_at=item.added_ts,
            )
            for item in found.threepids
        ],
        external_ids=[
            wire.ExternalId(auth_provider=item.auth_provider, external_id=item.external_id)
            for item in found.external_ids
        ],
        erased=account.erased,
        last_seen_ts=found.last_seen_ts,
    )
