"""What the server tells other servers of itself."""

from __future__ import annotations

from typing import Any

from palpo import __version__
from palpo.api.call import Call, Handlers
from palpo.wire.endpoint import NoBody, NoParams
from palpo.wire.federation import server_info as wire

handlers = Handlers()


@handlers.serves(wire.get_version)
async def get_version(call: Call, params: NoParams, body: NoBody) -> wire.Version:
    """GET /_matrix/federation/v1/version."""
    return wire.Version(server=wire.Implementation(name="Palpo", version=__version__))


@handlers.serves(wire.get_server_key)
async def get_server_key(call: Call, params: wire.KeyParams, body: NoBody) -> dict[str, Any]:
    """GET /_matrix/key/v2/server."""
    return call.services.server.server_keys.published()


@handlers.serves(wire.query_keys)
async def query_keys(call: Call, params: NoParams, body: wire.KeyQuery) -> wire.ServerKeyList:
    """POST /_matrix/key/v2/query."""
    return wire.ServerKeyList(server_keys=call.services.server.server_keys.of_servers(body.server_keys))


@handlers.serves(wire.query_keys_of_server)
async def query_keys_of_server(call: Call, params: wire.NotaryParams, body: NoBody) -> wire.ServerKeyList:
    """GET /_matrix/key/v2/query/{serverName}."""
    return wire.ServerKeyList(server_keys=call.services.server.server_keys.of_servers([params.server_name]))
