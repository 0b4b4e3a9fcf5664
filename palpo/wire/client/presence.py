"""Presence (spec: client-server API, "Presence")."""

from __future__ import annotations

from typing import Literal

from palpo.wire.endpoint import Body, Endpoint, Limit, NoBody, Response, UserParams, client


class SetPresence(Body, frozen=True):
    """How the user is to be shown."""

    presence: Literal["online", "offline", "unavailable"]
    status_msg: str | None = None


class Presence(Response, frozen=True):
    """A user's presence; ``last_active_ago`` is in milliseconds."""

    presence: str
    last_active_ago: int | None = None
    status_msg: str | None = None
    currently_active: bool | None = None


set_presence: Endpoint[UserParams, SetPresence, None] = Endpoint(
    operation_id="setPresence",
    method="PUT",
    paths=client("/presence/{user_id}/status"),
    limit=Limit.EPHEMERAL,
    params=UserParams,
    body=SetPresence,
)

get_presence: Endpoint[UserParams, NoBody, Presence] = Endpoint(
    operation_id="getPresence",
    method="GET",
    paths=client("/presence/{user_id}/status"),
    params=UserParams,
    response=Presence,
)
