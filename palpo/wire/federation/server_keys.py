"""Signing keys, this server's and others' (spec: server-server API, "Retrieving server keys")."""

from __future__ import annotations

from typing import Any

from palpo.wire.endpoint import Auth, Body, Endpoint, Limit, NoBody, NoParams, Params, Response

API = "server-server"


class KeyParams(Params, frozen=True):
    """The key that is asked for (deprecated: all keys are always told)."""

    key_id: str | None = None


get_server_key: Endpoint[KeyParams, NoBody, dict[str, Any]] = Endpoint(
    operation_id="getServerKey",
    method="GET",
    paths=("/_matrix/key/v2/server", "/_matrix/key/v2/server/{key_id}"),
    auth=Auth.NONE,
    limit=Limit.NONE,
    params=KeyParams,
    response=dict[str, Any],
    api=API,
)


class NotaryParams(Params, frozen=True):
    """The server whose keys are asked for."""

    server_name: str
    minimum_valid_until_ts: int | None = None
    """Milliseconds since the Unix epoch."""


class KeyCriteria(Body, frozen=True):
    """What a key must be."""

    minimum_valid_until_ts: int | None = None


class KeyQuery(Body, frozen=True):
    """Servers and their keys; no keys are all of them."""

    server_keys: dict[str, dict[str, KeyCriteria]]


class ServerKeyList(Response, frozen=True):
    """Signed server keys, of the servers that could be asked."""

    server_keys: list[dict[str, Any]]


query_keys: Endpoint[NoParams, KeyQuery, ServerKeyList] = Endpoint(
    operation_id="bulkPerspectivesKeyQuery",
    method="POST",
    paths=("/_matrix/key/v2/query",),
    auth=Auth.NONE,
    limit=Limit.NOTARY,
    body=KeyQuery,
    response=ServerKeyList,
    api=API,
    large_answer=True,
)

query_keys_of_server: Endpoint[NotaryParams, NoBody, ServerKeyList] = Endpoint(
    operation_id="perspectivesKeyQuery",
    method="GET",
    paths=("/_matrix/key/v2/query/{server_name}",),
    auth=Auth.NONE,
    limit=Limit.NOTARY,
    params=NotaryParams,
    response=ServerKeyList,
    api=API,
)
