"""Users' profiles."""

from __future__ import annotations

from palpo.api.call import Call, Handlers
from palpo.core.errors import Forbidden, MissingParam
from palpo.services.accounts.profiles import SHOWN_IN_ROOMS, check_key, check_value
from palpo.wire.client import profiles as wire
from palpo.wire.endpoint import Json, NoBody, UserParams

handlers = Handlers()
ROOMS_FOR_ONE = 10
"""Rooms that a new name or avatar costs as much for as a request."""


@handlers.serves(wire.get_user_profile)
async def get_user_profile(call: Call, params: UserParams, body: NoBody) -> Json:
    """GET /profile/{userId}."""
    return await call.services.accounts.profiles.look_up(params.user_id)


@handlers.serves(wire.get_profile_field)
async def get_profile_field(call: Call, params: wire.Field, body: NoBody) -> Json:
    """GET /profile/{userId}/{keyName}."""
    return await call.services.accounts.profiles.look_up(params.user_id, params.key_name)


@handlers.serves(wire.set_profile_field)
async def set_profile_field(call: Call, params: wire.Field, body: Json) -> None:
    """PUT /profile/{userId}/{keyName}."""
    _check(call, params)
    if params.key_name not in body:
        raise MissingParam(f"The body has no {params.key_name}")
    value = body[params.key_name]
    check_value(params.key_name, value)
    await _charge(call, params)
    if not call.requester.shadow_banned:
        await call.services.accounts.profiles.set_field(params.user_id, params.key_name, value)


@handlers.serves(wire.delete_profile_field)
async def delete_profile_field(call: Call, params: wire.Field, body: NoBody) -> None:
    """DELETE /profile/{userId}/{keyName}."""
    _check(call, params)
    await _charge(call, params)
    if not call.requester.shadow_banned:
        await call.services.accounts.profiles.delete_field(params.user_id, params.key_name)


async def _charge(call: Call, params: wire.Field) -> None:
    """What is shown in rooms is written to each of them."""
    if params.key_name in SHOWN_IN_ROOMS:
        call.charge(len(await call.services.rooms.memberships.joined_rooms(call.user_id)) // ROOMS_FOR_ONE)


def _check(call: Call, params: wire.Field) -> None:
    """Raises Forbidden for others' profiles, and for what guests may not change of their own."""
    if params.user_id != call.user_id:
        raise Forbidden("You cannot change another user's profile")
    check_key(params.key_name)
    if call.requester.is_guest and params.key_name != "displayname":
        raise Forbidden("Guests may change only their display name", errcode="M_GUEST_ACCESS_FORBIDDEN")
