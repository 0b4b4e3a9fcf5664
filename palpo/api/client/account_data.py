"""Account data and tags."""

from __future__ import annotations

from palpo.api.call import Call, Handlers, Reply
from palpo.core.errors import BadJson, Forbidden
from palpo.core.identifiers import UserId
from palpo.wire.client import account_data as wire
from palpo.wire.endpoint import Json, NoBody

handlers = Handlers()


@handlers.serves(wire.set_account_data)
async def set_account_data(call: Call, params: wire.Global, body: Json) -> None:
    """PUT /user/{userId}/account_data/{type}."""
    _check(call, params.user_id)
    await call.services.personal.account_data.put(params.user_id, None, params.type, body)


@handlers.serves(wire.get_account_data)
async def get_account_data(call: Call, params: wire.Global, body: NoBody) -> Reply:
    """GET /user/{userId}/account_data/{type}."""
    _check(call, params.user_id)
    return Reply(body=await call.services.personal.account_data.get(params.user_id, None, params.type))


@handlers.serves(wire.delete_account_data)
async def delete_account_data(call: Call, params: wire.Global, body: NoBody) -> None:
    """DELETE /user/{userId}/account_data/{type} (MSC3391)."""
    _check(call, params.user_id)
    await call.services.personal.account_data.delete(params.user_id, None, params.type)


@handlers.serves(wire.set_account_data_per_room)
async def set_account_data_per_room(call: Call, params: wire.OfRoom, body: Json) -> None:
    """PUT /user/{userId}/rooms/{roomId}/account_data/{type}."""
    _check(call, params.user_id)
    await call.services.personal.account_data.put(params.user_id, params.room_id, params.type, body)


@handlers.serves(wire.get_account_data_per_room)
async def get_account_data_per_room(call: Call, params: wire.OfRoom, body: NoBody) -> Reply:
    """GET /user/{userId}/rooms/{roomId}/account_data/{type}."""
    _check(call, params.user_id)
    return Reply(
        body=await call.services.personal.account_data.get(params.user_id, params.room_id, params.type)
    )


@handlers.serves(wire.delete_account_data_per_room)
async def delete_account_data_per_room(call: Call, params: wire.OfRoom, body: NoBody) -> None:
    """DELETE /user/{userId}/rooms/{roomId}/account_data/{type} (MSC3391)."""
    _check(call, params.user_id)
    await call.services.personal.account_data.delete(params.user_id, params.room_id, params.type)


@handlers.serves(wire.get_room_tags)
async def get_room_tags(call: Call, params: wire.Room, body: NoBody) -> wire.Tags:
    """GET /user/{userId}/rooms/{roomId}/tags."""
    _check(call, params.user_id)
    return wire.Tags(tags=await call.services.personal.account_data.tags(params.user_id, params.room_id))


@handlers.serves(wire.set_room_tag)
async def set_room_tag(call: Call, params: wire.Tag, body: Json) -> None:
    """PUT /user/{userId}/rooms/{roomId}/tags/{tag}."""
    _check(call, params.user_id)
    content = {name: value for name, value in body.items() if name != "order" or value is not None}
    order = content.get("order", 0)
    if isinstance(order, bool) or not isinstance(order, int | float):
        raise BadJson("order is not a number")
    await call.services.personal.account_data.put_tag(params.user_id, params.room_id, params.tag, content)


@handlers.serves(wire.delete_room_tag)
async def delete_room_tag(call: Call, params: wire.Tag, body: NoBody) -> None:
    """DELETE /user/{userId}/rooms/{roomId}/tags/{tag}."""
    _check(call, params.user_id)
    await call.services.personal.account_data.delete_tag(params.user_id, params.room_id, params.tag)


def _check(call: Call, user_id: UserId) -> None:
    if user_id != call.user_id:
        raise Forbidden("You cannot see or change another user's account data")
