"""Changing the password (spec: client-server API, "Password management")."""

from __future__ import annotations

from typing import Any

from palpo.wire.endpoint import Auth, Body, Endpoint, Limit, NoParams, client


class ChangePassword(Body, frozen=True):
    """Body of /account/password; ``logout_devices`` is true unless it is given."""

    new_password: str
    logout_devices: bool | None = None
    auth: dict[str, Any] | None = None


change_password: Endpoint[NoParams, ChangePassword, None] = Endpoint(
    operation_id="changePassword",
    method="POST",
    paths=client("/account/password"),
    auth=Auth.OPTIONAL,
    limit=Limit.INTERACTIVE,
    body=ChangePassword,
)
