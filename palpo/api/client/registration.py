"""Making accounts."""

from __future__ import annotations

from palpo.api.authentication import require_appservice
from palpo.api.call import Call, Handlers
from palpo.api.interactive_auth import authorise
from palpo.core.errors import Forbidden, InvalidParam, MissingParam
from palpo.services.logins import DeviceChoice, NewSession
from palpo.services.user_interactive_auth import DUMMY, REGISTRATION_TOKEN, Flow
from palpo.wire.client import registration as wire
from palpo.wire.endpoint import NoBody, NoParams

handlers = Handlers()

APPLICATION_SERVICE = "m.login.application_service"
MAX_REGISTRATION_TOKEN = 64
"""Characters (spec: "Token-authenticated registration")."""


@handlers.serves(wire.register)
async def register(call: Call, params: wire.RegisterParams, body: wire.Register) -> wire.Registered:
    """POST /register."""
    registration = call.services.registration
    if params.kind == "guest":
        return _registered(await registration.register_guest(body.initial_device_display_name))
    choice = DeviceChoice(
        device_id=body.device_id,
        display_name=body.initial_device_display_name,
        refreshable=bool(body.refresh_token),
    )
    wanted = None if body.inhibit_login else choice
    if body.type == APPLICATION_SERVICE or (body.auth or {}).get("type") == APPLICATION_SERVICE:
        return await _register_for_appservice(call, body, wanted)
    flows = _flows(call)
    if body.password is not None:
        registration.check_password(body.password)
    if body.guest_access_token is not None:
        guest = await call.services.sessions.authenticate(body.guest_access_token)
        await authorise(call, body.auth, flows=flows)
        user_id, session = await registration.upgrade_guest(guest, body.username, body.password, wanted)
    else:
        if body.username is not None:
            await registration.check_available(body.username)
        await authorise(call, body.auth, flows=flows)
        user_id, session = await registration.register(body.username, body.password, wanted)
    if session is None:
        return wire.Registered(user_id=user_id, home_server=call.services.config.server_name)
    return _registered(session)


async def _register_for_appservice(
    call: Call, body: wire.Register, choice: DeviceChoice | None
) -> wire.Registered:
    """Make a user of the application service that asks (spec: application service API)."""
    appservice = require_appservice(call)
    if body.username is None:
        raise MissingParam("username is missing")
    registration = call.services.registration
    user_id, session = await registration.register_for_appservice(appservice.id, body.username, choice)
    if session is None:
        return wire.Registered(user_id=user_id, home_server=call.services.config.server_name)
    return _registered(session)


@handlers.serves(wire.check_username_availability)
async def check_username_availability(
    call: Call, params: wire.UsernameParams, body: NoBody
) -> wire.Available:
    """GET /register/available."""
    await call.services.registration.check_available(params.username)
    return wire.Available(available=True)


@handlers.serves(wire.registration_token_validity)
async def registration_token_validity(call: Call, params: wire.TokenParams, body: NoBody) -> wire.Validity:
    """GET /register/m.login.registration_token/validity."""
    if not call.services.config.registration.token:
        raise Forbidden("This server has no registration tokens")
    if len(params.token) > MAX_REGISTRATION_TOKEN:
        raise InvalidParam(f"A token has at most {MAX_REGISTRATION_TOKEN} characters")
    return wire.Validity(valid=call.services.registration.token_valid(params.token))


@handlers.serves(wire.get_nonce)
async def get_nonce(call: Call, params: NoParams, body: NoBody) -> wire.Nonce:
    """GET /_synapse/admin/v1/register."""
    return wire.Nonce(nonce=call.services.registration.nonce())


@handlers.serves(wire.register_by_shared_secret)
async def register_by_shared_secret(
    call: Call, params: NoParams, body: wire.SharedSecretRegister
) -> wire.Registered:
    """POST /_synapse/admin/v1/register."""
    session = await call.services.registration.register_by_shared_secret(
        nonce=body.nonce,
        username=body.username,
        password=body.password,
        admin=bool(body.admin),
        mac=body.mac,
        user_type=body.user_type,
    )
    return _registered(session)


def _flows(call: Call) -> list[Flow]:
    """The flows that registration offers; raises Forbidden where it is closed."""
    config = call.services.config.registration
    flows: list[Flow] = []
    if config.open:
        flows.append((DUMMY,))
    if config.token:
        # Clients know this flow with the dummy stage at its end, and some fail without it.
        flows.append((REGISTRATION_TOKEN, DUMMY))
    if not flows:
        raise Forbidden("Registration is disabled")
    return flows


def _registered(session: NewSession) -> wire.Registered:
    return wire.Registered(
        user_id=session.user_id,
        access_token=session.access_token,
        refresh_token=session.refresh_token,
        expires_in_ms=session.expires_in_ms,
        device_id=session.device_id,
        home_server=session.user_id.partition(":")[2],
    )
