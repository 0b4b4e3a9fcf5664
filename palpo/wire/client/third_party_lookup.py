"""Third-party networks (spec: client-server API, "Third-party Networks")."""

from __future__ import annotations

from typing import Any

import msgspec

from palpo.core.identifiers import RoomAlias, UserId
from palpo.wire.endpoint import Endpoint, NoBody, NoParams, Params, Response, client


class ProtocolParams(Params, frozen=True):
    """Which protocol."""

    protocol: str


class SearchParams(Params, frozen=True):
    """Which protocol; what is searched for are the query's other parameters, by the protocol's names."""

    protocol: str
    fields: str | None = None


class AliasParams(Params, frozen=True):
    """Which room alias."""

    alias: RoomAlias


class UserParams(Params, frozen=True):
    """Which user."""

    user_id: UserId = msgspec.field(name="userid")


class FieldType(Response, frozen=True):
    """What a field's values look like."""

    regexp: str
    placeholder: str


class Instance(Response, frozen=True):
    """One network of a protocol."""

    desc: str
    fields: dict[str, Any]
    network_id: str
    instance_id: str | None = None
    icon: str | None = None


class Protocol(Response, frozen=True):
    """A protocol, and how its users and locations are found."""

    user_fields: list[str]
    location_fields: list[str]
    icon: str
    field_types: dict[str, FieldType]
    instances: list[Instance]


class Location(Response, frozen=True):
    """A place in a third-party network, and the alias of the room that leads to it."""

    alias: str
    protocol: str
    fields: dict[str, Any]


class User(Response, frozen=True):
    """A user of a third-party network, and who stands for them."""

    user_id: str = msgspec.field(name="userid")
    protocol: str
    fields: dict[str, Any]


get_protocols: Endpoint[NoParams, NoBody, dict[str, Protocol]] = Endpoint(
    operation_id="getProtocols",
    method="GET",
    paths=client("/thirdparty/protocols"),
    response=dict[str, Protocol],
)

get_protocol_metadata: Endpoint[ProtocolParams, NoBody, Protocol] = Endpoint(
    operation_id="getProtocolMetadata",
    method="GET",
    paths=client("/thirdparty/protocol/{protocol}"),
    params=ProtocolParams,
    response=Protocol,
)

query_location_by_protocol: Endpoint[SearchParams, NoBody, list[Location]] = Endpoint(
    operation_id="queryLocationByProtocol",
    method="GET",
    paths=client("/thirdparty/location/{protocol}"),
    params=SearchParams,
    response=list[Location],
)

query_user_by_protocol: Endpoint[SearchParams, NoBody, list[User]] = Endpoint(
    operation_id="queryUserByProtocol",
    method="GET",
    paths=client("/thirdparty/user/{protocol}"),
    params=SearchParams,
    response=list[User],
)

query_location_by_alias: Endpoint[AliasParams, NoBody, list[Location]] = Endpoint(
    operation_id="queryLocationByAlias",
    method="GET",
    paths=client("/thirdparty/location"),
    params=AliasParams,
    response=list[Location],
)

query_user_by_id: Endpoint[UserParams, NoBody, list[User]] = Endpoint(
    operation_id="queryUserByID",
    method="GET",
    paths=client("/thirdparty/user"),
    params=UserParams,
    response=list[User],
)
