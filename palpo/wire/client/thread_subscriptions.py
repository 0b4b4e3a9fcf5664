"""Following threads (MSC4306, MSC4308)."""

from __future__ import annotations

from typing import Literal

import msgspec

from palpo.core.identifiers import EventId
from palpo.wire.endpoint import Body, Endpoint, Limit, NoBody, Params, Response, RoomParams, draft

_PATHS = draft("/rooms/{room_id}/thread/{root_id}/subscription", "io.element.msc4306")


class ThreadParams(RoomParams, frozen=True):
    """A thread, by its root."""

    root_id: EventId


class Subscribe(Body, frozen=True):
    """Why the user follows the thread."""

    automatic: str | None = None
    """The event because of which a client does so by itself; None where the user asked for it."""


class Subscription(Response, frozen=True):
    """That the user follows a thread."""

    automatic: bool


class ChangesParams(Params, frozen=True):
    """Which changes of the user's subscriptions."""

    dir: Literal["b"] = "b"
    from_: str | None = msgspec.field(name="from", default=None)
    to: str | None = None
    limit: int = 100


class Subscribed(Response, frozen=True):
    """A subscription, and when it last changed."""

    automatic: bool
    bump_stamp: int


class Unsubscribed(Response, frozen=True):
    """When a subscription ended."""

    bump_stamp: int


class Changes(Response, frozen=True):
    """Subscriptions that changed, by room and root."""

    subscribed: dict[str, dict[str, Subscribed]] = msgspec.field(default_factory=dict)
    unsubscribed: dict[str, dict[str, Unsubscribed]] = msgspec.field(default_factory=dict)
    end: str | None = None


get_thread_subscription: Endpoint[ThreadParams, NoBody, Subscription] = Endpoint(
    operation_id="msc4306.getThreadSubscription",
    method="GET",
    paths=_PATHS,
    params=ThreadParams,
    response=Subscription,
)

put_thread_subscription: Endpoint[ThreadParams, Subscribe, None] = Endpoint(
    operation_id="msc4306.putThreadSubscription",
    method="PUT",
    paths=_PATHS,
    limit=Limit.SETTINGS,
    params=ThreadParams,
    body=Subscribe,
)

delete_thread_subscription: Endpoint[ThreadParams, NoBody, None] = Endpoint(
    operation_id="msc4306.deleteThreadSubscription",
    method="DELETE",
    paths=_PATHS,
    limit=Limit.SETTINGS,
    params=ThreadParams,
)

get_thread_subscriptions: Endpoint[ChangesParams, NoBody, Changes] = Endpoint(
    operation_id="msc4308.getThreadSubscriptions",
    method="GET",
    paths=draft("/thread_subscriptions", "io.element.msc4308"),
    params=ChangesParams,
    response=Changes,
)
