"""The requests that the server sends to application services, and the paths that they had before."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AppserviceCall:
    """One operation of the application service API. Names in braces are path segments."""

    operation_id: str
    method: str
    path: str
    legacy_path: str | None = None
    """Where services that know only drafts of the API serve it (spec: "Legacy routes")."""


PREFIX = "/_matrix/app/v1"
UNSTABLE = "/_matrix/app/unstable"

send_transaction = AppserviceCall(
    operation_id="sendTransaction",
    method="PUT",
    path=f"{PREFIX}/transactions/{{txn_id}}",
    legacy_path="/transactions/{txn_id}",
)
ping = AppserviceCall(operation_id="ping", method="POST", path=f"{PREFIX}/ping")
query_user = AppserviceCall(
    operation_id="queryUserById",
    method="GET",
    path=f"{PREFIX}/users/{{user_id}}",
    legacy_path="/users/{user_id}",
)
query_alias = AppserviceCall(
    operation_id="queryRoomByAlias",
    method="GET",
    path=f"{PREFIX}/rooms/{{room_alias}}",
    legacy_path="/rooms/{room_alias}",
)


def _third_party(operation_id: str, path: str) -> AppserviceCall:
    """A look-up in third-party networks."""
    path = f"/thirdparty/{path}"
    return AppserviceCall(
        operation_id=operation_id, method="GET", path=PREFIX + path, legacy_path=UNSTABLE + path
    )


protocol = _third_party("getProtocolMetadata", "protocol/{protocol}")
users_by_protocol = _third_party("queryUserByProtocol", "user/{protocol}")
locations_by_protocol = _third_party("queryLocationByProtocol", "location/{protocol}")
locations_by_alias = _third_party("queryLocationByAlias", "location")
users_by_id = _third_party("queryUserByID", "user")

CALLS = (
    send_transaction,
    ping,
    query_user,
    query_alias,
    protocol,
    users_by_protocol,
    locations_by_protocol,
    locations_by_alias,
    users_by_id,
)
