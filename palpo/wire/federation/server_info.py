"""What the server tells other servers of itself (spec: server-server API)."""

from __future__ import annotations

from typing import Any

from palpo.wire.endpoint import Auth, Endpoint, NoBody, NoParams, Params, Response

API = "server-server"


class Implementation(Response, frozen=True):
    """The server's software."""

    name: str
    version: str


class Version(Response, frozen=True):
    """The server's software."""

    server: Implementation


class KeyParams(Params, frozen=True):
    """The key that is asked for (deprecated: all keys are always told)."""

    key_id: str | None = None


get_version: Endpoint[NoParams, NoBody, Version] = Endpoint(
    operation_id="getVersion",
    method="GET",
    paths=("/_matrix/federation/v1/version",),
    auth=Auth.NONE,
    response=Version,
    api=API,
)

get_server_key: Endpoint[KeyParams, NoBody, dict[str, Any]] = Endpoint(
    operation_id="getServerKey",
    method="GET",
    paths=("/_matrix/key/v2/server", "/_matrix/key/v2/server/{key_id}"),
    auth=Auth.NONE,
    params=KeyParams,
    response=dict[str, Any],
    api=API,
)
