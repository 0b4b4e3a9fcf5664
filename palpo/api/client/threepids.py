"""Third-party identifiers: email addresses, where the server sends email; telephone numbers never."""

from __future__ import annotations

from palpo.api.call import Call, Handlers
from palpo.api.interactive_auth import authorise, repeatable
from palpo.core.errors import BadRequest, Forbidden, MatrixError, Unavailable
from palpo.services.accounts import threepids as service
from palpo.wire.client import threepids as wire
from palpo.wire.endpoint import NoBody, NoParams

handlers = Handlers()


@handlers.serves(wire.get_account_3pids)
async def get_account_3pids(call: Call, params: NoParams, body: NoBody) -> wire.ThirdPartyIdentifiers:
    """GET /account/3pid."""
    return wire.ThirdPartyIdentifiers(
        threepids=[
            wire.ThirdPartyIdentifier(
                medium=item.medium,
                address=item.address,
                validated_at=item.validated_ts,
                added_at=item.added_ts,
            )
            for item in await call.services.accounts.threepids.of_user(call.user_id)
        ]
    )


@handlers.serves(wire.post_3pids)
async def post_3pids(call: Call, params: NoParams, body: wire.Credentials) -> wire.Submitted:
    """POST /account/3pid: what /account/3pid/bind does, with an error of its own."""
    creds = body.three_pid_creds
    try:
        await call.services.accounts.identity_servers.bind(
            call.user_id, creds.id_server, creds.id_access_token, creds.sid, creds.client_secret
        )
    except Unavailable:
        raise
    except MatrixError as error:
        raise service.auth_failed() from error
    return wire.Submitted()


@handlers.serves(wire.add_3pid)
@repeatable
async def add_3pid(call: Call, params: NoParams, body: wire.Add) -> None:
    """POST /account/3pid/add."""
    threepids = call.services.accounts.threepids
    proven = await threepids.validated(body.sid, body.client_secret)
    if proven.purpose != service.ADD:
        raise service.auth_failed()
    await authorise(call, body.auth, scope=body.sid)
    await threepids.add(call.user_id, proven)


@handlers.serves(wire.bind_3pid)
async def bind_3pid(call: Call, params: NoParams, body: wire.ThreePidCredentials) -> None:
    """POST /account/3pid/bind."""
    await call.services.accounts.identity_servers.bind(
        call.user_id, body.id_server, body.id_access_token, body.sid, body.client_secret
    )


@handlers.serves(wire.delete_3pid)
async def delete_3pid(call: Call, params: NoParams, body: wire.Remove) -> wire.Removed:
    """POST /account/3pid/delete: it is gone here, whatever an identity server says."""
    await call.services.accounts.threepids.remove(call.user_id, body.medium, body.address)
    try:
        return await _unbind(call, body)
    except MatrixError:
        return wire.Removed(id_server_unbind_result="no-support")


@handlers.serves(wire.unbind_3pid)
async def unbind_3pid(call: Call, params: NoParams, body: wire.Remove) -> wire.Removed:
    """POST /account/3pid/unbind."""
    return await _unbind(call, body)


async def _unbind(call: Call, body: wire.Remove) -> wire.Removed:
    done = await call.services.accounts.identity_servers.unbind(
        call.user_id, body.medium, body.address, body.id_server
    )
    return wire.Removed(id_server_unbind_result="success" if done else "no-support")


@handlers.serves(wire.email_to_register)
async def email_to_register(call: Call, params: NoParams, body: wire.EmailToken) -> wire.TokenSent:
    """POST /register/email/requestToken."""
    if (
        not call.services.accounts.threepids.enabled
        or call.services.server.config.registration.email == "off"
    ):
        raise Forbidden("Nobody registers here by email", errcode="M_THREEPID_DENIED")
    return await _send(call, service.REGISTER, body)


@handlers.serves(wire.msisdn_to_register)
async def msisdn_to_register(call: Call, params: NoParams, body: wire.MsisdnToken) -> wire.TokenSent:
    """POST /register/msisdn/requestToken."""
    raise Forbidden("Nobody registers here by telephone", errcode="M_THREEPID_DENIED")


@handlers.serves(wire.email_to_reset_password)
async def email_to_reset_password(call: Call, params: NoParams, body: wire.EmailToken) -> wire.TokenSent:
    """POST /account/password/email/requestToken."""
    if not call.services.accounts.threepids.enabled:
        message = "This server sends no email: its administrators can set a new password"
        raise Forbidden(message, errcode="M_THREEPID_DENIED")
    return await _send(call, service.RESET_PASSWORD, body)


@handlers.serves(wire.msisdn_to_reset_password)
async def msisdn_to_reset_password(call: Call, params: NoParams, body: wire.MsisdnToken) -> wire.TokenSent:
    """POST /account/password/msisdn/requestToken."""
    raise BadRequest("No account has that number", errcode="M_THREEPID_NOT_FOUND")


@handlers.serves(wire.email_to_add)
async def email_to_add(call: Call, params: NoParams, body: wire.EmailToken) -> wire.TokenSent:
    """POST /account/3pid/email/requestToken."""
    if not call.services.accounts.threepids.enabled:
        raise BadRequest("Email addresses cannot be added", errcode="M_THREEPID_MEDIUM_NOT_SUPPORTED")
    return await _send(call, service.ADD, body)


@handlers.serves(wire.msisdn_to_add)
async def msisdn_to_add(call: Call, params: NoParams, body: wire.MsisdnToken) -> wire.TokenSent:
    """POST /account/3pid/msisdn/requestToken."""
    raise BadRequest("Telephone numbers cannot be added", errcode="M_THREEPID_MEDIUM_NOT_SUPPORTED")


async def _send(call: Call, purpose: str, body: wire.EmailToken) -> wire.TokenSent:
    session_id = await call.services.accounts.threepids.request_email(
        purpose, body.email, body.client_secret, body.send_attempt, body.next_link
    )
    return wire.TokenSent(sid=session_id)
