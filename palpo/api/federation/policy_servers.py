"""Signatures of policy servers, which this server is none of."""

from __future__ import annotations

from palpo.api.call import Call, Handlers
from palpo.core.errors import Unrecognized
from palpo.wire.endpoint import Json, NoParams
from palpo.wire.federation import policy_servers as wire

handlers = Handlers()


@handlers.serves(wire.ask_policy_server_to_sign)
async def ask_policy_server_to_sign(call: Call, params: NoParams, body: Json) -> Json:
    """POST /_matrix/policy/v1/sign."""
    raise Unrecognized("This is no policy server")
