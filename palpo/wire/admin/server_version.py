"""What runs here, for administrators (Synapse's "Version API")."""

from __future__ import annotations

from palpo.wire.admin.common import admin
from palpo.wire.endpoint import Auth, Endpoint, NoBody, NoParams, Response


class ServerVersion(Response, frozen=True):
    """The program and its version."""

    server_version: str


server_version: Endpoint[NoParams, NoBody, ServerVersion] = Endpoint(
    operation_id="synapse.getServerVersion",
    method="GET",
    paths=admin("/server_version"),
    auth=Auth.NONE,
    response=ServerVersion,
)
"""Asked by dashboards before anybody has signed in; /_matrix/federation/v1/version says the same."""
