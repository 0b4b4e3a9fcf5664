"""Making accounts by a shared secret."""

from __future__ import annotations

from palpo.api.call import Call, Handlers
from palpo.api.client.registration import registered
from palpo.core.errors import MatrixError
from palpo.core.identifiers import MAX_LENGTH
from palpo.wire.admin import registration as wire
from palpo.wire.client.registration import Registered
from palpo.wire.endpoint import NoBody, NoParams

handlers = Handlers()
WHO_KNOWS_THE_SECRET = "(shared secret)"
"""Who did it, as the audit log says."""


@handlers.serves(wire.get_nonce)
async def get_nonce(call: Call, params: NoParams, body: NoBody) -> wire.Nonce:
    """GET /_synapse/admin/v1/register."""
    return wire.Nonce(nonce=call.services.accounts.registration.nonce())


@handlers.serves(wire.register_by_shared_secret)
async def register_by_shared_secret(
    call: Call, params: NoParams, body: wire.SharedSecretRegister
) -> Registered:
    """POST /_synapse/admin/v1/register."""
    status = 500
    try:
        session = await call.services.accounts.registration.register_by_shared_secret(
            nonce=body.nonce,
            username=body.username,
            password=body.password,
            admin=bool(body.admin),
            mac=body.mac,
            user_type=body.user_type,
            displayname=body.displayname,
        )
        status = 200
    except MatrixError as error:
        status = error.status
        raise
    finally:
        await call.services.server.audit_log.record(
            actor=WHO_KNOWS_THE_SECRET,
            via="api",
            action=call.endpoint.operation_id,
            target=body.username[:MAX_LENGTH],
            details={"admin": body.admin, "user_type": body.user_type, "displayname": body.displayname},
            status=status,
            address=call.client_address,
        )
    return registered(session)
