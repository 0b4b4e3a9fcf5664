"""Logging in, and keeping a session alive."""

from __future__ import annotations

import structlog
from msgspec import convert

from palpo.api.authentication import require_appservice
from palpo.api.call import Call, Handlers
from palpo.api.interactive_auth import authorise
from palpo.config.sections.sign_on import Provider
from palpo.core.errors import BadRequest, Forbidden, MatrixError, MissingParam, NotFound, Unrecognized
from palpo.core.identifiers import MAX_LENGTH
from palpo.core.records.accounts import Account
from palpo.services.accounts.login_identifiers import user_of
from palpo.services.accounts.logins import LOGIN_TOKEN_MS, DeviceChoice
from palpo.wire.client import login as wire
from palpo.wire.endpoint import NoBody, NoParams

handlers = Handlers()
log = structlog.get_logger("palpo.login")

TOKEN = "m.login.token"
JWT = "org.matrix.login.jwt"
APPLICATION_SERVICE = "m.login.application_service"
MAX_TOKEN = 1024
"""Characters of a token that is looked up at all."""


@handlers.serves(wire.get_login_flows)
async def get_login_flows(call: Call, params: NoParams, body: NoBody) -> wire.LoginFlows:
    """GET /login."""
    if call.services.server.config.delegated:
        raise Unrecognized("OAuth 2.0 authentication is in use on this homeserver")
    flows = []
    if call.services.server.config.passwords_enabled:
        flows.append(wire.LoginFlow(type="m.login.password"))
    providers = [_shown(item.config) for item in call.services.sign_on.providers]
    aware = call.services.server.config.oauth_enabled
    if providers or aware:
        flows.append(
            wire.LoginFlow(
                type="m.login.sso", identity_providers=providers or None, oauth_aware_preferred=aware
            )
        )
    if flows:
        flows.append(wire.LoginFlow(type=TOKEN, get_login_token=True))
    if call.services.sign_on.json_web_tokens.enabled:
        flows.append(wire.LoginFlow(type=JWT))
    if call.services.accounts.appservices.registrations:
        flows.append(wire.LoginFlow(type=APPLICATION_SERVICE))
    if not flows:
        raise NotFound("Nobody logs in here", errcode="M_UNRECOGNIZED")
    return wire.LoginFlows(flows=flows)


@handlers.serves(wire.login)
async def login(call: Call, params: NoParams, body: wire.Login) -> wire.LoggedIn:
    """POST /login."""
    if call.services.server.config.delegated:
        raise _elsewhere(body.type)
    choice = DeviceChoice(
        device_id=body.device_id,
        display_name=body.initial_device_display_name,
        refreshable=bool(body.refresh_token),
    )
    try:
        account = await _prove(call, body)
    except Forbidden as error:
        # The address comes before what the client says: who watches the log can rely on its place.
        log.warning("login_failed", address=call.client_address, user=_named(body), errcode=error.errcode)
        raise
    session = await call.services.accounts.logins.log_in(account, choice)
    if body.type == TOKEN and body.token and call.services.sign_on.providers:
        await call.services.sign_on.upstream_sessions.claim(body.token, session.user_id, session.device_id)
    config = call.services.server.config
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


def _elsewhere(login_type: str) -> MatrixError:
    """What is said where this server logs nobody in (application service API, "Using /login")."""
    if login_type == APPLICATION_SERVICE:
        return BadRequest("Nobody logs in here", errcode="M_APPSERVICE_LOGIN_UNSUPPORTED")
    return Unrecognized("OAuth 2.0 authentication is in use on this homeserver")


def _shown(provider: Provider) -> wire.IdentityProvider:
    return wire.IdentityProvider(
        id=provider.id, name=provider.name, icon=provider.icon or None, brand=provider.brand or None
    )


def _named(body: wire.Login) -> str | None:
    """Whom somebody wants to be, as they say it."""
    identifier = body.identifier or wire.Identifier(user=body.user, address=body.address)
    name = identifier.user or identifier.address
    return name[:MAX_LENGTH] if name else None


async def _prove(call: Call, body: wire.Login) -> Account:
    """The account that the body's credentials prove."""
    logins = call.services.accounts.logins
    if body.type == "m.login.password" and call.services.server.config.passwords_enabled:
        if body.password is None:
            raise MissingParam("password is missing")
        return await logins.check_password(
            await user_of(body, call.services.accounts.threepids), body.password
        )
    if body.type == TOKEN:
        if body.token is None:
            raise MissingParam("token is missing")
        return await logins.spend_login_token(body.token[:MAX_TOKEN])
    if body.type == JWT and call.services.sign_on.json_web_tokens.enabled:
        if body.token is None:
            raise MissingParam("token is missing")
        return await call.services.sign_on.json_web_tokens.prove(body.token)
    if body.type == APPLICATION_SERVICE:
        # The application service API says so since v1.10; the client-server API, M_FORBIDDEN, is older.
        appservice = require_appservice(call)
        account = await logins.find(await user_of(body, call.services.accounts.threepids))
        if account is None:
            raise Forbidden("There is no such user")
        if not appservice.has_user(account.user_id):
            raise Forbidden("The user is not the application service's", errcode="M_EXCLUSIVE")
        return account
    raise BadRequest("Unknown login type", errcode="M_UNKNOWN")


@handlers.serves(wire.generate_login_token)
async def generate_login_token(call: Call, params: NoParams, body: wire.LoginTokenBody) -> wire.LoginToken:
    """POST /login/get_token."""
    await authorise(call, body.auth)
    token = await call.services.accounts.logins.make_login_token(call.user_id)
    return wire.LoginToken(login_token=token, expires_in_ms=LOGIN_TOKEN_MS)


@handlers.serves(wire.refresh)
async def refresh(call: Call, params: NoParams, body: wire.Refresh) -> wire.Refreshed:
    """POST /refresh."""
    session = await call.services.accounts.logins.refresh(body.refresh_token[:MAX_TOKEN])
    return convert(session, wire.Refreshed, from_attributes=True)
