"""Ending an account (spec: client-server API, "Account deactivation")."""

from __future__ import annotations

from typing import Any

from palpo.wire.endpoint import Body, Endpoint, Limit, NoParams, Response, client


class Deactivate(Body, frozen=True):
    """Body of /account/deactivate."""

    auth: dict[str, Any] | None = None
    id_server: str | None = None
    erase: bool | None = None


class Deactivated(Response, frozen=True):
    """Whether the user's third-party identifiers were unbound."""

    id_server_unbind_result: str


deactivate_account: Endpoint[NoParams, Deactivate, Deactivated] = Endpoint(
    operation_id="deactivateAccount",
    method="POST",
    paths=client("/account/deactivate"),
    limit=Limit.LOGIN,
    body=Deactivate,
    response=Deactivated,
)
