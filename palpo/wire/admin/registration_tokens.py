"""Registration tokens, for administrators (Synapse's "Registration Tokens" API)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from palpo.wire.admin.common import Milliseconds, admin
from palpo.wire.endpoint import Auth, Body, Endpoint, NoBody, NoParams, Params, Response

Uses = Annotated[int, msgspec.Meta(ge=0, le=2**31)]


class Token(Response, frozen=True):
    """A token; ``uses_allowed`` None is any number, ``expiry_time`` None never."""

    token: str
    uses_allowed: int | None
    pending: int
    completed: int
    expiry_time: int | None


class Tokens(Response, frozen=True):
    """Tokens, the oldest first."""

    registration_tokens: list[Token]


class TokensParams(Params, frozen=True):
    """Which tokens: those that may be used, those that may not, or with None all."""

    valid: bool | None = None


class TokenParams(Params, frozen=True):
    """A token, in the path."""

    token: str


class NewToken(Body, frozen=True):
    """A token that is to be made: ``token`` None is one that is made up, of ``length`` characters."""

    token: str | None = None
    uses_allowed: Uses | None = None
    expiry_time: Milliseconds | None = None
    length: Annotated[int, msgspec.Meta(ge=1, le=64)] | None = None


class TokenChange(Body, frozen=True):
    """What is to be changed of a token; what is not there stays."""

    uses_allowed: Uses | UnsetType | None = UNSET
    expiry_time: Milliseconds | UnsetType | None = UNSET


list_tokens: Endpoint[TokensParams, NoBody, Tokens] = Endpoint(
    operation_id="synapse.listRegistrationTokens",
    method="GET",
    paths=admin("/registration_tokens"),
    auth=Auth.ADMIN,
    params=TokensParams,
    response=Tokens,
)
get_token: Endpoint[TokenParams, NoBody, Token] = Endpoint(
    operation_id="synapse.getRegistrationToken",
    method="GET",
    paths=admin("/registration_tokens/{token}"),
    auth=Auth.ADMIN,
    params=TokenParams,
    response=Token,
)
create_token: Endpoint[NoParams, NewToken, Token] = Endpoint(
    operation_id="synapse.createRegistrationToken",
    method="POST",
    paths=admin("/registration_tokens/new"),
    auth=Auth.ADMIN,
    body=NewToken,
    response=Token,
)
update_token: Endpoint[TokenParams, TokenChange, Token] = Endpoint(
    operation_id="synapse.updateRegistrationToken",
    method="PUT",
    paths=admin("/registration_tokens/{token}"),
    auth=Auth.ADMIN,
    params=TokenParams,
    body=TokenChange,
    response=Token,
)
delete_token: Endpoint[TokenParams, NoBody, None] = Endpoint(
    operation_id="synapse.deleteRegistrationToken",
    method="DELETE",
    paths=admin("/registration_tokens/{token}"),
    auth=Auth.ADMIN,
    params=TokenParams,
)
