"""Third-party identifiers: this server neither sends messages to any nor trusts an identity server.

So no account has one, and whatever would begin or end the adding of one is refused.
"""

from __future__ import annotations

from palpo.api.call import Call, Handlers
from palpo.core.errors import BadRequest, Forbidden
from palpo.wire.client import account_3pid as wire
from palpo.wire.endpoint import NoBody, NoParams

handlers = Handlers()


@handlers.serves(wire.get_account_3pids)
async def get_account_3pids(call: Call, params: NoParams, body: NoBody) -> wire.ThirdPartyIdentifiers:
    """GET /account/3pid."""
    return wire.ThirdPartyIdentifiers(threepids=[])


@handlers.serves(wire.post_3pids)
async def post_3pids(call: Call, params: NoParams, body: wire.Credentials) -> wire.TokenSent:
    """POST /account/3pid."""
    raise _auth_failed()


@handlers.serves(wire.add_3pid)
async def add_3pid(call: Call, params: NoParams, body: wire.Add) -> wire.TokenSent:
    """POST /account/3pid/add."""
    raise _auth_failed()


@handlers.serves(wire.bind_3pid)
async def bind_3pid(call: Call, params: NoParams, body: wire.Bind) -> wire.TokenSent:
    """POST /account/3pid/bind."""
    raise BadRequest("The identity server is not trusted", errcode="M_SERVER_NOT_TRUSTED")


@handlers.serves(wire.delete_3pid)
async def delete_3pid(call: Call, params: NoParams, body: wire.Remove) -> wire.Removed:
    """POST /account/3pid/delete: what is not there is gone already."""
    return wire.Removed(id_server_unbind_result="no-support")


@handlers.serves(wire.unbind_3pid)
async def unbind_3pid(call: Call, params: NoParams, body: wire.Remove) -> wire.Removed:
    """POST /account/3pid/unbind."""
    return wire.Removed(id_server_unbind_result="no-support")


@handlers.serves(wire.email_to_register)
async def email_to_register(call: Call, params: NoParams, body: wire.EmailToken) -> wire.TokenSent:
    """POST /register/email/requestToken."""
    raise Forbidden("Nobody registers here by email", errcode="M_THREEPID_DENIED")


@handlers.serves(wire.msisdn_to_register)
async def msisdn_to_register(call: Call, params: NoParams, body: wire.MsisdnToken) -> wire.TokenSent:
    """POST /register/msisdn/requestToken."""
    raise Forbidden("Nobody registers here by telephone", errcode="M_THREEPID_DENIED")


@handlers.serves(wire.email_to_reset_password)
async def email_to_reset_password(call: Call, params: NoParams, body: wire.EmailToken) -> wire.TokenSent:
    """POST /account/password/email/requestToken."""
    raise BadRequest("No account has that address", errcode="M_THREEPID_NOT_FOUND")


@handlers.serves(wire.msisdn_to_reset_password)
async def msisdn_to_reset_password(call: Call, params: NoParams, body: wire.MsisdnToken) -> wire.TokenSent:
    """POST /account/password/msisdn/requestToken."""
    raise BadRequest("No account has that number", errcode="M_THREEPID_NOT_FOUND")


@handlers.serves(wire.email_to_add)
async def email_to_add(call: Call, params: NoParams, body: wire.EmailToken) -> wire.TokenSent:
    """POST /account/3pid/email/requestToken."""
    raise BadRequest("Email addresses cannot be added", errcode="M_THREEPID_MEDIUM_NOT_SUPPORTED")


@handlers.serves(wire.msisdn_to_add)
async def msisdn_to_add(call: Call, params: NoParams, body: wire.MsisdnToken) -> wire.TokenSent:
    """POST /account/3pid/msisdn/requestToken."""
    raise BadRequest("Telephone numbers cannot be added", errcode="M_THREEPID_MEDIUM_NOT_SUPPORTED")


def _auth_failed() -> Forbidden:
    return Forbidden("The identifier has not been validated", errcode="M_THREEPID_AUTH_FAILED")
