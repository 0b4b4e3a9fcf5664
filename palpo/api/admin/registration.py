"""Making accounts by a shared secret."""

from __future__ import annotations

from palpo.api.call import Call, Handlers
from palpo.api.client.registration import registered
from palpo.wire.admin import registration as wire
from palpo.wire.client.registration import Registered
from palpo.wire.endpoint import NoBody, NoParams

handlers = Handlers()


@handlers.serves(wire.get_nonce)
async def get_nonce(call: Call, params: NoParams, body: NoBody) -> wire.Nonce:
    """GET /_synapse/admin/v1/register."""
    return wire.Nonce(nonce=call.services.accounts.registration.nonce())


@handlers.serves(wire.register_by_shared_secret)
async def register_by_shared_secret(
    call: Call, params: NoParams, body: wire.SharedSecretRegister
) -> Registered:
    """POST /_synapse/admin/v1/register."""
    session = await call.services.accounts.registration.register_by_shared_secret(
        nonce=body.nonce,
        username=body.username,
        password=body.password,
        admin=bool(body.admin),
        mac=body.mac,
        user_type=body.user_type,
    )
    return registered(session)
