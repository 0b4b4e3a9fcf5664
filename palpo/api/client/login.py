"""Logging in, and keeping a session alive."""

from __future__ import annotations

from palpo.api.authentication import require_appservice
from palpo.api.call import Call, Handlers
from palpo.api.interactive_auth import authorise
from palpo.core.errors import BadRequest, Forbidden, MissingParam, NotFound
from palpo.services.logins import LOGIN_TOKEN_MS, DeviceChoice
from palpo.storage.accounts import Account
from palpo.wire.client import login as wire
from palpo.wire.endpoint import NoBody, NoParams

handlers = Handlers()

APPLICATION_SERVICE = "m.login.application_service"
MAX_TOKEN = 1024
"""Characters of a token that is looked up at all."""


@handlers.serves(wire.get_login_flows)
async def get_login_flows(call: Call, params: NoParams, body: NoBody) -> wire.LoginFlows:
    """GET /login."""
    if not call.services.config.password.enabled:
        raise NotFound("Nobody logs in here by password", errcode="M_UNRECOGNIZED")
    flows = [
        wire.LoginFlow(type="m.login.password"),
        wire.LoginFlow(type="m.login.token", get_login_token=True),
    ]
    if call.services.appservices.registrations:
        flows.append(wire.LoginFlow(type=APPLICATION_SERVICE))
    return wire.LoginFlows(flows=flows)


@handlers.serves(wire.login)
async def login(call: Call, params: NoParams, body: wire.Login) -> wire.LoggedIn:
    """POST /login."""
    choice = DeviceChoice(
        device_id=body.device_id,
        display_name=body.initial_device_display_name,
        refreshable=bool(body.refresh_token),
    )
    session = await call.services.logins.log_in(await _prove(call, body), choice)
    config = call.services.config
    well_known = wire.WellKnown(homeserver=wire.BaseUrl(base_url=config.public_url))
    return wire.LoggedIn(
        user_id=session.user_id,
        access_token=session.access_token,
        device_id=session.device_id,
        refresh_token=session.refresh_token,
        expires_in_ms=session.expires_in_ms,
        home_server=config.server_name,
        well_known=well_known if config.public_url else None,
    )


async def _prove(call: Call, body: wire.Login) -> Account:
    """The account that the body's credentials prove."""
    logins = call.services.logins
    if body.type == "m.login.password" and call.services.config.password.enabled:
        if body.password is None:
            raise MissingParam("password is missing")
        return await logins.check_password(await _account(call, body), body.password)
    if body.type == "m.login.token":
        if body.token is None:
            raise MissingParam("token is missing")
        return await logins.spend_login_token(body.token[:MAX_TOKEN])
    if body.type == APPLICATION_SERVICE:
        appservice = require_appservice(call)
        account = await logins.find(_user(body))
        if account is None:
            raise Forbidden("There is no such user")
        if not appservice.has_user(account.user_id):
            raise Forbidden("The user is not the application service's", errcode="M_EXCLUSIVE")
        return account
    raise BadRequest("Unknown login type", errcode="M_UNKNOWN")


async def _account(call: Call, body: wire.Login) -> str:
    """As ``_user``; for an address, the user whose account has it, or somebody who does not exist."""
    identifier = body.identifier or wire.Identifier(medium=body.medium, address=body.address)
    named = identifier.type == "m.id.thirdparty" or (body.identifier is None and body.user is None)
    if named and identifier.medium is not None and identifier.address is not None:
        user_id = await call.services.threepids.owner(identifier.medium, identifier.address)
        return user_id or f"{identifier.medium}:{identifier.address}"
    return _user(body)


def _user(body: wire.Login) -> str:
    """The user ID or localpart in the body, the deprecated fields included.

    Raises MissingParam, Forbidden for third-party identifiers, and BadRequest for identifiers of types that
    the spec does not have.
    """
    identifier = body.identifier
    if identifier is None:
        if body.address is not None or body.medium is not None:
            raise Forbidden("The third-party identifier is not known")
        identifier = wire.Identifier(type="m.id.user", user=body.user)
    if identifier.type in ("m.id.thirdparty", "m.id.phone"):
        raise Forbidden("The third-party identifier is not known")
    if identifier.type not in (None, "m.id.user"):
        raise BadRequest("Unknown type of identifier", errcode="M_UNKNOWN")
    if identifier.user is None:
        raise MissingParam("identifier.user is missing")
    return identifier.user


@handlers.serves(wire.generate_login_token)
async def generate_login_token(call: Call, params: NoParams, body: wire.LoginTokenBody) -> wire.LoginToken:
    """POST /login/get_token."""
    await authorise(call, body.auth)
    token = await call.services.logins.make_login_token(call.user_id)
    return wire.LoginToken(login_token=token, expires_in_ms=LOGIN_TOKEN_MS)


@handlers.serves(wire.refresh)
async def refresh(call: Call, params: NoParams, body: wire.Refresh) -> wire.Refreshed:
    """POST /refresh."""
    session = await call.services.logins.refresh(body.refresh_token[:MAX_TOKEN])
    return wire.Refreshed(
        access_token=session.access_token,
        refresh_token=session.refresh_token,
        expires_in_ms=session.expires_in_ms,
    )
