"""What the server tells other servers of itself (spec: server-server API)."""

from __future__ import annotations

from palpo.wire.endpoint import Auth, Endpoint, Limit, NoBody, NoParams, Response


class Implementation(Response, frozen=True):
    """The server's software."""

    name: str
    version: str


class Version(Response, frozen=True):
    """The server's software."""

    server: Implementation


get_version: Endpoint[NoParams, NoBody, Version] = Endpoint(
    operation_id="getVersion",
    method="GET",
    paths=("/_matrix/federation/v1/version",),
    auth=Auth.NONE,
    limit=Limit.NONE,
    response=Version,
    api="server-server",
)
