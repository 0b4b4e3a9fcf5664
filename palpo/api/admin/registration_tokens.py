"""Registration tokens, for administrators."""

from __future__ import annotations

from msgspec import UNSET

from palpo.api.call import Call, Handlers
from palpo.services.accounts.registration_tokens import LENGTH, TokenInUse
from palpo.wire.admin import registration_tokens as wire
from palpo.wire.endpoint import NoBody, NoParams

handlers = Handlers()


@handlers.serves(wire.list_tokens)
async def list_tokens(call: Call, params: wire.TokensParams, body: NoBody) -> wire.Tokens:
    """GET /_synapse/admin/v1/registration_tokens."""
    found = await call.services.accounts.registration_tokens.in_use(usable=params.valid)
    return wire.Tokens(registration_tokens=[_token(item) for item in found])


@handlers.serves(wire.get_token)
async def get_token(call: Call, params: wire.TokenParams, body: NoBody) -> wire.Token:
    """GET /_synapse/admin/v1/registration_tokens/{token}."""
    return _token(await call.services.accounts.registration_tokens.find(params.token))


@handlers.serves(wire.create_token)
async def create_token(call: Call, params: NoParams, body: wire.NewToken) -> wire.Token:
    """POST /_synapse/admin/v1/registration_tokens/new."""
    tokens = call.services.accounts.registration_tokens
    created = await tokens.create(
        body.token,
        uses_allowed=body.uses_allowed,
        expires_ts=body.expiry_time,
        length=LENGTH if body.length is None else body.length,
    )
    return _token(TokenInUse(token=created, pending=0))


@handlers.serves(wire.update_token)
async def update_token(call: Call, params: wire.TokenParams, body: wire.TokenChange) -> wire.Token:
    """PUT /_synapse/admin/v1/registration_tokens/{token}."""
    changes: dict[str, int | None] = {}
    if body.uses_allowed is not UNSET:
        changes["uses_allowed"] = body.uses_allowed
    if body.expiry_time is not UNSET:
        changes["expires_ts"] = body.expiry_time
    return _token(await call.services.accounts.registration_tokens.edit(params.token, **changes))


@handlers.serves(wire.delete_token)
async def delete_token(call: Call, params: wire.TokenParams, body: NoBody) -> None:
    """DELETE /_synapse/admin/v1/registration_tokens/{token}."""
    await call.services.accounts.registration_tokens.revoke(params.token)


def _token(item: TokenInUse) -> wire.Token:
    return wire.Token(
        token=item.token.token,
        uses_allowed=item.token.uses_allowed,
        pending=item.pending,
        completed=item.token.completed,
        expiry_time=item.token.expires_ts,
    )
