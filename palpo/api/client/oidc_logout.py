"""What providers' servers say of who was logged out there (OpenID Connect Back-Channel Logout 1.0; CAS)."""

from __future__ import annotations

from urllib.parse import parse_qs

from palpo.api.call import Call, Handlers, Reply
from palpo.api.forms import form_fields
from palpo.core.errors import BadRequest, Forbidden
from palpo.wire.client import sso as wire
from palpo.wire.endpoint import NoBody, NoParams

handlers = Handlers()


@handlers.serves(wire.oidc_logout)
async def oidc_logout(call: Call, params: NoParams, body: NoBody) -> Reply:
    """POST /_synapse/client/oidc/backchannel_logout: log out who was logged out at a provider."""
    try:
        fields = parse_qs(call.body.decode("ascii"), max_num_fields=10)
        token = fields["logout_token"][0]
    except (ValueError, KeyError):
        raise BadRequest("There is no logout_token") from None
    try:
        await call.services.sign_on.logouts.log_out(token)
    except Forbidden as error:
        raise BadRequest(error.message, errcode="M_INVALID_PARAM") from None
    return Reply(body=b"{}", headers={"Cache-Control": "no-store"})


@handlers.serves(wire.cas_logout)
async def cas_logout(call: Call, params: wire.CasParams, body: NoBody) -> Reply:
    """POST /_synapse/client/cas/callback: log out what a ticket was for."""
    request = form_fields(call).get("logoutRequest", "")
    try:
        await call.services.sign_on.logouts.log_out_by_cas(request)
    except Forbidden as error:
        raise BadRequest(error.message, errcode="M_INVALID_PARAM") from None
    return Reply(body=b"{}", headers={"Cache-Control": "no-store"})
