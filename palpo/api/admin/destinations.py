"""Other servers, for administrators."""

from __future__ import annotations

from collections.abc import Callable

from palpo.api.call import Call, Handlers
from palpo.services.administration.destinations import KnownServer
from palpo.wire.admin import destinations as wire
from palpo.wire.admin.common import Direction
from palpo.wire.endpoint import NoBody

handlers = Handlers()

ORDERS: dict[wire.DestinationOrder, Callable[[KnownServer], tuple[int | str, str]]] = {
    wire.DestinationOrder.DESTINATION: lambda server: ("", server.name),
    wire.DestinationOrder.RETRY_LAST_TS: lambda server: (server.last_try_ts, server.name),
    wire.DestinationOrder.RETRY_INTERVAL: lambda server: (server.pause_ms, server.name),
    wire.DestinationOrder.FAILURE_TS: lambda server: (server.failing_since_ts or 0, server.name),
    wire.DestinationOrder.LAST_SUCCESSFUL: lambda server: (server.told_upto, server.name),
}


@handlers.serves(wire.list_destinations)
async def list_destinations(call: Call, params: wire.DestinationsParams, body: NoBody) -> wire.Destinations:
    """GET /_synapse/admin/v1/federation/destinations."""
    found = await call.services.administration.destinations.all()
    if params.destination is not None:
        found = [server for server in found if params.destination.lower() in server.name]
    found.sort(key=ORDERS[params.order_by], reverse=params.dir is Direction.BACKWARDS)
    page = found[params.from_ : params.from_ + params.size]
    token = params.next_token(len(found))
    return wire.Destinations(
        destinations=[_destination(server) for server in page],
        total=len(found),
        next_token=None if token is None else str(token),
    )


@handlers.serves(wire.get_destination)
async def get_destination(call: Call, params: wire.DestinationParams, body: NoBody) -> wire.Destination:
    """GET /_synapse/admin/v1/federation/destinations/{destination}."""
    return _destination(await call.services.administration.destinations.find(params.destination))


@handlers.serves(wire.list_destination_rooms)
async def list_destination_rooms(
    call: Call, params: wire.DestinationRoomsParams, body: NoBody
) -> wire.DestinationRooms:
    """GET /_synapse/admin/v1/federation/destinations/{destination}/rooms."""
    found = await call.services.administration.destinations.rooms(params.destination)
    found.sort(reverse=params.dir is Direction.BACKWARDS)
    token = params.next_token(len(found))
    return wire.DestinationRooms(
        rooms=[
            wire.DestinationRoom(room_id=room_id, stream_ordering=position)
            for room_id, position in found[params.from_ : params.from_ + params.size]
        ],
        total=len(found),
        next_token=None if token is None else str(token),
    )


@handlers.serves(wire.reset_connection)
async def reset_connection(call: Call, params: wire.DestinationParams, body: NoBody) -> None:
    """POST /_synapse/admin/v1/federation/destinations/{destination}/reset_connection."""
    await call.services.administration.destinations.retry(params.destination)


def _destination(server: KnownServer) -> wire.Destination:
    return wire.Destination(
        destination=server.name,
        retry_last_ts=server.last_try_ts,
        retry_interval=server.pause_ms,
        failure_ts=server.failing_since_ts,
        last_successful_stream_ordering=server.told_upto or None,
    )
