"""Pushers (spec: client-server API, "Push Notifications")."""

from __future__ import annotations

from typing import Any

from palpo.wire.endpoint import Body, Endpoint, Limit, NoBody, NoParams, Response, client


class Pusher(Response, frozen=True):
    """A pusher."""

    pushkey: str
    kind: str
    app_id: str
    app_display_name: str
    device_display_name: str
    lang: str
    data: dict[str, Any]
    profile_tag: str | None = None


class Pushers(Response, frozen=True):
    """A user's pushers."""

    pushers: list[Pusher]


class SetPusher(Body, frozen=True):
    """The pusher to make or change; with ``kind`` null, the one to delete."""

    kind: str | None
    app_id: str
    pushkey: str
    app_display_name: str | None = None
    device_display_name: str | None = None
    profile_tag: str | None = None
    lang: str | None = None
    data: dict[str, Any] | None = None
    append: bool | None = None


get_pushers: Endpoint[NoParams, NoBody, Pushers] = Endpoint(
    operation_id="getPushers",
    method="GET",
    paths=client("/pushers"),
    response=Pushers,
)

post_pusher: Endpoint[NoParams, SetPusher, None] = Endpoint(
    operation_id="postPusher",
    method="POST",
    paths=client("/pushers/set"),
    limit=Limit.SETTINGS,
    body=SetPusher,
)
