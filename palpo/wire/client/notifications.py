"""Notifications (spec: client-server API, "Listing Notifications")."""

from __future__ import annotations

from typing import Any

import msgspec

from palpo.wire.endpoint import Endpoint, NoBody, Params, Response, client


class NotificationsParams(Params, frozen=True):
    """Query of /notifications; ``only`` may be ``highlight``."""

    from_: str | None = msgspec.field(name="from", default=None)
    limit: int | None = None
    only: str | None = None


class Notification(Response, frozen=True):
    """An event that notified the user. ``ts`` is in milliseconds since the Unix epoch."""

    actions: list[Any]
    event: msgspec.Raw
    read: bool
    room_id: str
    ts: int


class Notifications(Response, frozen=True):
    """Notifications, newest first."""

    notifications: list[Notification]
    next_token: str | None = None


get_notifications: Endpoint[NotificationsParams, NoBody, Notifications] = Endpoint(
    operation_id="getNotifications",
    method="GET",
    paths=client("/notifications"),
    params=NotificationsParams,
    response=Notifications,
)
