"""Making accounts by a secret that is shared with the server, as Synapse's admin API has it."""

from __future__ import annotations

from palpo.wire.client.registration import Registered
from palpo.wire.endpoint import Auth, Body, Endpoint, Limit, NoBody, NoParams, Response


class Nonce(Response, frozen=True):
    """The nonce that goes into the MAC."""

    nonce: str


class SharedSecretRegister(Body, frozen=True):
    """Body of the registration by shared secret; ``mac`` is hexadecimal."""

    nonce: str
    username: str
    password: str
    mac: str
    admin: bool | None = None
    user_type: str | None = None
    displayname: str | None = None


PATH = "/_synapse/admin/v1/register"

get_nonce: Endpoint[NoParams, NoBody, Nonce] = Endpoint(
    operation_id="synapse.getRegistrationNonce",
    method="GET",
    paths=(PATH,),
    auth=Auth.NONE,
    limit=Limit.INTERACTIVE,
    response=Nonce,
)

register_by_shared_secret: Endpoint[NoParams, SharedSecretRegister, Registered] = Endpoint(
    operation_id="synapse.registerBySharedSecret",
    method="POST",
    paths=(PATH,),
    auth=Auth.NONE,
    limit=Limit.REGISTRATION,
    body=SharedSecretRegister,
    response=Registered,
)
