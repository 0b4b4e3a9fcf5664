"""Making accounts."""

from __future__ import annotations

from typing import Any

from palpo.api.authentication import require_appservice
from palpo.api.call import Call, Handlers
from palpo.api.interactive_auth import authorise, request_hash, session_in
from palpo.core.errors import BadRequest, Forbidden, InvalidParam, MatrixError, MissingParam
from palpo.core.identifiers import UserId
from palpo.services.accounts.logins import DeviceChoice, NewSession
from palpo.services.accounts.registration import Proof
from palpo.services.accounts.registration_stages import EMAIL, RECAPTCHA, TERMS
from palpo.services.accounts.threepids import REGISTER
from palpo.services.accounts.user_interactive_auth import DUMMY, REGISTRATION_TOKEN, Flow
from palpo.wire.client import registration as wire
from palpo.wire.endpoint import Limit, NoBody

handlers = Handlers()

APPLICATION_SERVICE = "m.login.application_service"
MAX_REGISTRATION_TOKEN = 64
"""Characters (spec: "Token-authenticated registration")."""


@handlers.serves(wire.register)
async def register(call: Call, params: wire.RegisterParams, body: wire.Register) -> wire.Registered:
    """POST /register."""
    registration = call.services.accounts.registration
    if call.services.server.config.delegated:
        return await _register_delegated(call, body)
    if params.kind == "guest":
        call.charge(limit=Limit.REGISTRATION)
        return registered(await registration.register_guest(body.initial_device_display_name))
    choice = DeviceChoice(
        device_id=body.device_id,
        display_name=body.initial_device_display_name,
        refreshable=bool(body.refresh_token),
    )
    wanted = None if body.inhibit_login else choice
    if body.type == APPLICATION_SERVICE or (body.auth or {}).get("type") == APPLICATION_SERVICE:
        return await _register_for_appservice(call, body, wanted)
    request, session_id = request_hash(call), session_in(body.auth)
    if session_id is None:
        return await _register(call, body, wanted, request)
    made = await registration.repeated(session_id, request, wanted)
    if made is not None:
        return _made(call, *made)
    try:
        return await _register(call, body, wanted, request)
    except MatrixError:
        # It may have been refused for what the same request has done meanwhile.
        made = await registration.repeated(session_id, request, wanted)
        if made is None:
            raise
    return _made(call, *made)


async def _register_delegated(call: Call, body: wire.Register) -> wire.Registered:
    """Where Matrix Authentication Service makes accounts, application services alone do so here."""
    if APPLICATION_SERVICE not in (body.type, (body.auth or {}).get("type")):
        raise Forbidden("Registration is disabled: OAuth 2.0 authentication is in use on this homeserver")
    if not body.inhibit_login:
        message = "Nobody logs in here: set inhibit_login"
        raise BadRequest(message, errcode="M_APPSERVICE_LOGIN_UNSUPPORTED")
    return await _register_for_appservice(call, body, None)


async def _register(
    call: Call, body: wire.Register, choice: DeviceChoice | None, request: bytes
) -> wire.Registered:
    registration = call.services.accounts.registration
    flows = await registration_flows(call)
    if body.password is not None:
        registration.check_password(body.password)
    if body.guest_access_token is not None:
        guest = await call.services.accounts.sessions.authenticate(body.guest_access_token)
        registration.check_guest(guest, body.username)
        proof = await authorised(call, body.auth, flows, request)
        user_id, session = await registration.upgrade_guest(guest, body.password, choice, proof)
    else:
        if body.username is not None:
            await registration.check_available(body.username)
        proof = await authorised(call, body.auth, flows, request)
        user_id, session = await registration.register(body.username, body.password, choice, proof=proof)
    return _made(call, user_id, session)


async def authorised(
    call: Call, auth: dict[str, Any] | None, flows: list[Flow], request: bytes = b""
) -> Proof:
    """Let the caller make an account, once they have been through a flow.

    Only accounts are charged to that budget: a client asks again and again whether a stage is complete
    that is done elsewhere. Where nothing is left of it, no stage is gone through for nothing.
    """
    if auth is not None:
        call.check_budget(Limit.REGISTRATION)
    uia_session = await authorise(call, auth, flows=flows)
    proof = await _proof(call, uia_session, request)
    call.charge(limit=Limit.REGISTRATION)
    return proof


async def _proof(call: Call, uia_session: str, request: bytes) -> Proof:
    """What the user has shown, their email address for one; raises M_THREEPID_IN_USE (400)."""
    proven = await call.services.accounts.threepids.proven(uia_session, REGISTER)
    if proven is not None:
        await call.services.accounts.threepids.check_free(proven)
    return Proof(uia_session=uia_session, request=request, address=proven)


async def _register_for_appservice(
    call: Call, body: wire.Register, choice: DeviceChoice | None
) -> wire.Registered:
    """Make a user of the application service that asks (spec: application service API)."""
    appservice = require_appservice(call)
    if body.username is None:
        raise MissingParam("username is missing")
    if appservice.rate_limited:
        call.charge(limit=Limit.REGISTRATION)
    registration = call.services.accounts.registration
    user_id, session = await registration.register_for_appservice(appservice.id, body.username, choice)
    return _made(call, user_id, session)


@handlers.serves(wire.check_username_availability)
async def check_username_availability(
    call: Call, params: wire.UsernameParams, body: NoBody
) -> wire.Available:
    """GET /register/available."""
    await call.services.accounts.registration.check_available(params.username)
    return wire.Available(available=True)


@handlers.serves(wire.registration_token_validity)
async def registration_token_validity(call: Call, params: wire.TokenParams, body: NoBody) -> wire.Validity:
    """GET /register/m.login.registration_token/validity."""
    tokens = call.services.accounts.registration_tokens
    if not await tokens.offered():
        raise Forbidden("This server has no registration tokens")
    if len(params.token) > MAX_REGISTRATION_TOKEN:
        raise InvalidParam(f"A token has at most {MAX_REGISTRATION_TOKEN} characters")
    return wire.Validity(valid=await tokens.valid(params.token))


async def registration_flows(call: Call) -> list[Flow]:
    """The flows that registration offers; raises Forbidden where it is closed."""
    config = call.services.server.config.registration
    stages: Flow = ()
    if config.captcha.public_key:
        stages = (*stages, RECAPTCHA)
    if config.terms:
        stages = (*stages, TERMS)
    by_email = call.services.accounts.threepids.enabled and config.email != "off"
    flows: list[Flow] = []
    if config.open:
        if not by_email or config.email == "optional":
            # Where an address may be given or not, the dummy stage tells one flow from the other.
            flows.append((*stages, DUMMY) if by_email or not stages else stages)
        if by_email:
            flows.append((*stages, EMAIL))
    if await call.services.accounts.registration_tokens.offered():
        if by_email and config.email == "required":
            stages = (*stages, EMAIL)
        # Clients know this flow with the dummy stage at its end, and some fail without it.
        flows.append((REGISTRATION_TOKEN, *stages, DUMMY))
    if not flows:
        raise Forbidden("Registration is disabled")
    return flows


async def is_open(call: Call) -> bool:
    """Whether anybody may make an account with a password, by whatever flow."""
    if not call.services.server.config.passwords_enabled:
        return False
    try:
        return bool(await registration_flows(call))
    except Forbidden:
        return False


def _made(call: Call, user_id: UserId, session: NewSession | None) -> wire.Registered:
    if session is None:
        return wire.Registered(user_id=user_id, home_server=call.services.server.config.server_name)
    return registered(session)


def registered(session: NewSession) -> wire.Registered:
    """What is told of a new account's first session."""
    return wire.Registered(
        user_id=session.user_id,
        access_token=session.access_token,
        refresh_token=session.refresh_token,
        expires_in_ms=session.expires_in_ms,
        device_id=session.device_id,
        home_server=session.user_id.partition(":")[2],
    )
