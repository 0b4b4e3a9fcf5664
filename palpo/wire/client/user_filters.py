"""Keeping filters on the server (spec: client-server API, "Filtering")."""

from __future__ import annotations

from palpo.wire.client.filters import Filter
from palpo.wire.endpoint import Auth, Endpoint, Json, Limit, NoBody, Response, UserParams, client


class FilterParams(UserParams, frozen=True):
    """A filter of a user's, in the path."""

    filter_id: str


class Defined(Response, frozen=True):
    """The filter's ID."""

    filter_id: str


define_filter: Endpoint[UserParams, Filter, Defined] = Endpoint(
    operation_id="defineFilter",
    method="POST",
    paths=client("/user/{user_id}/filter"),
    auth=Auth.GUEST,
    limit=Limit.SETTINGS,
    params=UserParams,
    body=Filter,
    response=Defined,
)

get_filter: Endpoint[FilterParams, NoBody, Json] = Endpoint(
    operation_id="getFilter",
    method="GET",
    paths=client("/user/{user_id}/filter/{filter_id}"),
    auth=Auth.GUEST,
    params=FilterParams,
    response=Json,
)
