"""The OAuth 2.0 API for programs; what it shows to users is in ``api/pages/oauth.py``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

import msgspec

from palpo.api.call import Call, Handlers, Reply
from palpo.api.codec import encode
from palpo.api.forms import form_fields
from palpo.core.errors import BadRequest, Unrecognized
from palpo.core.oauth.clients import AUTHORIZATION_CODE, DEVICE_CODE, GRANT_TYPES, REFRESH_TOKEN
from palpo.core.oauth.errors import (
    INVALID_CLIENT_METADATA,
    INVALID_REQUEST,
    UNAUTHORIZED_CLIENT,
    UNSUPPORTED_GRANT_TYPE,
    OAuthError,
)
from palpo.core.oauth.scopes import SCOPES
from palpo.core.records.oauth import Client
from palpo.services.oauth.authorization import RESPONSE_MODES
from palpo.services.oauth.device_codes import INTERVAL_S, LIFETIME_S
from palpo.services.oauth.grants import Issued
from palpo.wire.client import oauth as wire
from palpo.wire.endpoint import NoBody, NoParams
from palpo.wire.pages.account import ACTIONS
from palpo.wire.pages.languages import LANGUAGES

handlers = Handlers()

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
CACHED = {"Cache-Control": "public, max-age=3600"}


def base_url(call: Call) -> str:
    """Where the server is, without a slash at the end; raises Unrecognized where OAuth 2.0 is off."""
    config = call.services.server.config
    if not config.oauth_enabled:
        raise Unrecognized("OAuth 2.0 is not offered here")
    return config.public_url.rstrip("/")


@handlers.serves(wire.get_auth_metadata)
async def get_auth_metadata(call: Call, params: NoParams, body: NoBody) -> Reply:
    """GET /auth_metadata."""
    if call.services.server.config.delegated:
        return Reply(body=encode(await call.services.accounts.delegation.metadata()), headers=CACHED)
    return Reply(body=encode(_metadata(base_url(call))), headers=CACHED)


@handlers.serves(wire.get_server_metadata)
async def get_server_metadata(call: Call, params: NoParams, body: NoBody) -> Reply:
    """The same where programs look for it that are no Matrix clients."""
    return Reply(body=encode(_metadata(base_url(call))), headers=CACHED)


@handlers.serves(wire.get_auth_issuer)
async def get_auth_issuer(call: Call, params: NoParams, body: NoBody) -> wire.AuthIssuer:
    """GET /auth_issuer."""
    if call.services.server.config.delegated:
        found = await call.services.accounts.delegation.metadata()
        return wire.AuthIssuer(issuer=str(found["issuer"]))
    return wire.AuthIssuer(issuer=f"{base_url(call)}/")


def _metadata(base: str) -> wire.AuthMetadata:
    return wire.AuthMetadata(
        issuer=f"{base}/",
        authorization_endpoint=base + wire.AUTHORIZE_PATH,
        token_endpoint=base + wire.TOKEN_PATH,
        revocation_endpoint=base + wire.REVOKE_PATH,
        registration_endpoint=base + wire.REGISTER_PATH,
        introspection_endpoint=base + wire.INTROSPECT_PATH,
        device_authorization_endpoint=base + wire.DEVICE_AUTHORIZATION_PATH,
        response_types_supported=("code",),
        response_modes_supported=RESPONSE_MODES,
        grant_types_supported=GRANT_TYPES,
        code_challenge_methods_supported=("S256",),
        prompt_values_supported=("create",),
        scopes_supported=SCOPES,
        token_endpoint_auth_methods_supported=("none",),
        revocation_endpoint_auth_methods_supported=("none",),
        ui_locales_supported=LANGUAGES,
        authorization_response_iss_parameter_supported=True,
        account_management_uri=base + wire.ACCOUNT_PATH,
        account_management_actions_supported=ACTIONS,
    )


def _in_oauths_words(
    handler: Callable[[Call], Awaitable[Reply]],
) -> Callable[[Call, Any, Any], Awaitable[Reply]]:
    """What is wrong with a form is told as OAuth tells it."""

    @wraps(handler)
    async def answer(call: Call, params: Any, body: Any) -> Reply:
        base_url(call)
        try:
            return await handler(call)
        except BadRequest as error:
            raise OAuthError(INVALID_REQUEST, error.message) from None

    return answer


@handlers.serves(wire.register_client)
@_in_oauths_words
async def register_client(call: Call) -> Reply:
    """POST /register."""
    try:
        said = msgspec.json.decode(call.body or b"{}", type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise OAuthError(INVALID_CLIENT_METADATA, "The body is no JSON object") from None
    client = await call.services.oauth.clients.register(said)
    issued = call.services.server.clock.now_ms() // 1000
    answer = {"client_id": client.client_id, "client_id_issued_at": issued, **client.metadata.fields()}
    return Reply(status=201, body=encode(answer), headers=NO_STORE)


@handlers.serves(wire.get_token)
@_in_oauths_words
async def get_token(call: Call) -> Reply:
    """POST /token."""
    form = _form(call)
    grant_type = _required(form, "grant_type")
    if grant_type not in GRANT_TYPES:
        raise OAuthError(UNSUPPORTED_GRANT_TYPE, "The grant type is not served here")
    client = await call.services.oauth.clients.find(_required(form, "client_id"))
    if grant_type not in client.metadata.grant_types:
        raise OAuthError(UNAUTHORIZED_CLIENT, "The client did not register for this grant type")
    issued = await _ISSUERS[grant_type](call, client, form)
    session = issued.session
    answer = wire.TokenResponse(
        access_token=session.access_token,
        token_type="Bearer",
        expires_in=(session.expires_in_ms or 0) // 1000,
        refresh_token=session.refresh_token or "",
        scope=issued.scope,
    )
    return Reply(body=encode(answer), headers=NO_STORE)


async def _by_code(call: Call, client: Client, form: dict[str, str]) -> Issued:
    return await call.services.oauth.grants.redeem(
        client,
        _required(form, "code"),
        verifier=_required(form, "code_verifier"),
        redirect_uri=_required(form, "redirect_uri"),
    )


async def _by_refresh_token(call: Call, client: Client, form: dict[str, str]) -> Issued:
    return await call.services.oauth.grants.refresh(client, _required(form, "refresh_token"))


async def _by_device_code(call: Call, client: Client, form: dict[str, str]) -> Issued:
    return await call.services.oauth.device_codes.redeem(client, _required(form, "device_code"))


_ISSUERS: dict[str, Callable[[Call, Client, dict[str, str]], Awaitable[Issued]]] = {
    AUTHORIZATION_CODE: _by_code,
    REFRESH_TOKEN: _by_refresh_token,
    DEVICE_CODE: _by_device_code,
}


@handlers.serves(wire.revoke_token)
@_in_oauths_words
async def revoke_token(call: Call) -> Reply:
    """POST /revoke."""
    form = _form(call)
    await call.services.oauth.grants.revoke(_required(form, "token"))
    return Reply(body=b"{}", headers=NO_STORE)


@handlers.serves(wire.introspect_token)
@_in_oauths_words
async def introspect_token(call: Call) -> Reply:
    """POST /introspect, for administrators."""
    form = _form(call)
    found = await call.services.oauth.grants.introspect(_required(form, "token"))
    answer = wire.Introspection(active=False)
    if found is not None:
        session, grant = found.session, found.grant
        answer = wire.Introspection(
            active=True,
            scope=grant.scope if grant is not None else None,
            client_id=grant.client_id if grant is not None else None,
            username=session.user_id,
            sub=session.user_id,
            token_type="Bearer",
            exp=None if session.expires_ts is None else session.expires_ts // 1000,
            device_id=session.device_id,
        )
    return Reply(body=encode(answer), headers=NO_STORE)


@handlers.serves(wire.authorize_device)
@_in_oauths_words
async def authorize_device(call: Call) -> Reply:
    """POST /device_authorization."""
    form = _form(call)
    client = await call.services.oauth.clients.find(_required(form, "client_id"))
    codes = await call.services.oauth.device_codes.begin(client, form.get("scope", ""))
    uri = base_url(call) + wire.LINK_PATH
    answer = wire.DeviceAuthorization(
        device_code=codes.device_code,
        user_code=codes.user_code,
        verification_uri=uri,
        verification_uri_complete=f"{uri}?{urlencode({'user_code': codes.user_code})}",
        expires_in=LIFETIME_S,
        interval=INTERVAL_S,
    )
    return Reply(body=encode(answer), headers=NO_STORE)


def _form(call: Call) -> dict[str, str]:
    """What is given twice could mean one thing here and another elsewhere (RFC 6749, 3.2)."""
    return form_fields(call, once=True)


def _required(form: dict[str, str], name: str) -> str:
    value = form.get(name)
    if not value:
        raise OAuthError(INVALID_REQUEST, f"{name} is missing")
    return value
