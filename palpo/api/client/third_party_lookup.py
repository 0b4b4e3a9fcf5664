"""Third-party networks."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qsl

import msgspec

from palpo.api.call import Call, Handlers
from palpo.core.errors import NotFound
from palpo.services.appservices import appservice_queries as service
from palpo.wire.client import third_party_lookup as wire
from palpo.wire.endpoint import NoBody, NoParams

handlers = Handlers()

NOT_FIELDS = frozenset({"access_token", "user_id", "device_id", "org.matrix.msc3202.device_id"})
"""Query parameters that say who asks, and not what is searched for."""


@handlers.serves(wire.get_protocols)
async def get_protocols(call: Call, params: NoParams, body: NoBody) -> dict[str, wire.Protocol]:
    """GET /thirdparty/protocols."""
    found = await call.services.appservices.appservice_queries.protocols()
    shown = {name: _protocol(protocol) for name, protocol in found.items()}
    return {name: protocol for name, protocol in shown.items() if protocol is not None}


@handlers.serves(wire.get_protocol_metadata)
async def get_protocol_metadata(call: Call, params: wire.ProtocolParams, body: NoBody) -> wire.Protocol:
    """GET /thirdparty/protocol/{protocol}."""
    shown = _protocol(await call.services.appservices.appservice_queries.protocol(params.protocol))
    if shown is None:
        raise NotFound("No such protocol")
    return shown


@handlers.serves(wire.query_location_by_protocol)
async def query_location_by_protocol(
    call: Call, params: wire.SearchParams, body: NoBody
) -> list[wire.Location]:
    """GET /thirdparty/location/{protocol}."""
    return _locations(
        await call.services.appservices.appservice_queries.locations(params.protocol, _fields(call))
    )


@handlers.serves(wire.query_user_by_protocol)
async def query_user_by_protocol(call: Call, params: wire.SearchParams, body: NoBody) -> list[wire.User]:
    """GET /thirdparty/user/{protocol}."""
    return _users(await call.services.appservices.appservice_queries.users(params.protocol, _fields(call)))


@handlers.serves(wire.query_location_by_alias)
async def query_location_by_alias(call: Call, params: wire.AliasParams, body: NoBody) -> list[wire.Location]:
    """GET /thirdparty/location."""
    return _locations(await call.services.appservices.appservice_queries.locations_of_alias(params.alias))


@handlers.serves(wire.query_user_by_id)
async def query_user_by_id(call: Call, params: wire.UserParams, body: NoBody) -> list[wire.User]:
    """GET /thirdparty/user."""
    return _users(await call.services.appservices.appservice_queries.users_of_id(params.user_id))


def _fields(call: Call) -> list[tuple[str, str]]:
    """What is searched for; the codec has read the query before and found it readable."""
    pairs = parse_qsl(call.query, keep_blank_values=True)
    return [(name, value) for name, value in pairs if name not in NOT_FIELDS]


def _protocol(protocol: service.Protocol) -> wire.Protocol | None:
    """As clients are shown it; None where the service said something that the spec does not allow."""
    try:
        return msgspec.convert(msgspec.to_builtins(protocol), wire.Protocol)
    except msgspec.ValidationError:
        return None


def _locations(found: Iterable[service.Location]) -> list[wire.Location]:
    return [wire.Location(alias=item.alias, protocol=item.protocol, fields=item.fields) for item in found]


def _users(found: Iterable[service.ThirdPartyUser]) -> list[wire.User]:
    return [wire.User(user_id=item.userid, protocol=item.protocol, fields=item.fields) for item in found]
