"""Keeping filters on the server."""

from __future__ import annotations

from typing import Any

from palpo.api.call import Call, Handlers, Reply
from palpo.core.canonical_json import decode_object, to_json
from palpo.core.errors import Forbidden
from palpo.core.identifiers import UserId
from palpo.services.reading.event_filters import parse_filter
from palpo.wire.client import user_filters as wire
from palpo.wire.client.filters import Filter
from palpo.wire.endpoint import NoBody, UserParams

handlers = Handlers()


@handlers.serves(wire.define_filter)
async def define_filter(call: Call, params: UserParams, body: Filter) -> wire.Defined:
    """POST /user/{userId}/filter: it is kept with whatever else is in it."""
    _check(call, params.user_id)
    text = to_json(_without_nulls(decode_object(call.body or b"{}"), levels=3))
    parse_filter(text)
    return wire.Defined(filter_id=await call.services.personal.filters.define(params.user_id, text))


@handlers.serves(wire.get_filter)
async def get_filter(call: Call, params: wire.FilterParams, body: NoBody) -> Reply:
    """GET /user/{userId}/filter/{filterId}."""
    _check(call, params.user_id)
    return Reply(body=await call.services.personal.filters.get(params.user_id, params.filter_id))


def _without_nulls(filter_: dict[str, Any], *, levels: int) -> dict[str, Any]:
    """Clients say null for what they leave out, and the spec's schema of a filter has no null."""
    return {
        name: _without_nulls(value, levels=levels - 1) if levels > 1 and isinstance(value, dict) else value
        for name, value in filter_.items()
        if value is not None
    }


def _check(call: Call, user_id: UserId) -> None:
    if user_id != call.user_id:
        raise Forbidden("That is not your user ID")
