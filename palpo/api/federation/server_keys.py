"""Signing keys, this server's and others'."""

from __future__ import annotations

from typing import Any

from palpo.api.call import Call, Handlers
from palpo.services.federation.keys.key_notary import AskedKeys
from palpo.wire.endpoint import NoBody, NoParams
from palpo.wire.federation import server_keys as wire

handlers = Handlers()


@handlers.serves(wire.get_server_key)
async def get_server_key(call: Call, params: wire.KeyParams, body: NoBody) -> dict[str, Any]:
    """GET /_matrix/key/v2/server."""
    return call.services.server.server_keys.published()


@handlers.serves(wire.query_keys)
async def query_keys(call: Call, params: NoParams, body: wire.KeyQuery) -> wire.ServerKeyList:
    """POST /_matrix/key/v2/query."""
    call.charge(max(len(body.server_keys) - 1, 0))
    asked: dict[str, AskedKeys] = {
        server_name: {key_id: criteria.minimum_valid_until_ts for key_id, criteria in keys.items()}
        for server_name, keys in body.server_keys.items()
    }
    return wire.ServerKeyList(server_keys=await call.services.federation.key_notary.answers(asked))


@handlers.serves(wire.query_keys_of_server)
async def query_keys_of_server(call: Call, params: wire.NotaryParams, body: NoBody) -> wire.ServerKeyList:
    """GET /_matrix/key/v2/query/{serverName}."""
    asked: dict[str, AskedKeys] = {params.server_name: {None: params.minimum_valid_until_ts}}
    return wire.ServerKeyList(server_keys=await call.services.federation.key_notary.answers(asked))
