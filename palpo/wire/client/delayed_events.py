"""Events that are sent later (MSC4140)."""

from __future__ import annotations

from typing import Any, Literal

from palpo.wire.endpoint import (
    Auth,
    Body,
    Endpoint,
    Limit,
    NoBody,
    NoParams,
    Params,
    Response,
    RoomParams,
    draft,
)

_PREFIX = "org.matrix.msc4140"
Action = Literal["cancel", "restart", "send"]


class ScheduleParams(RoomParams, frozen=True):
    """A request to send an event later."""

    event_type: str
    txn_id: str
    ts: int | None = None
    """The event's time, milliseconds since the Unix epoch; heeded from application services."""


class Schedule(Body, frozen=True):
    """What is sent, and when; a state event where there is a state key."""

    delay_ms: int
    content: dict[str, Any]
    state_key: str | None = None


class DelayParams(Params, frozen=True):
    """A delayed event."""

    delay_id: str


class ActionParams(DelayParams, frozen=True):
    """A delayed event, and what becomes of it."""

    action: str


class Update(Body, frozen=True):
    """What becomes of a delayed event."""

    action: Action


class DelayedEvent(Response, frozen=True):
    """An event that is still to be sent, or what has become of it; times are ms since the Unix epoch."""

    delay_id: str
    room_id: str
    type: str
    delay_ms: int
    delay: int
    """``delay_ms`` by its earlier name."""
    scheduled_at: int
    running_since: int
    """``scheduled_at`` by its earlier name."""
    content: dict[str, Any]
    state_key: str | None = None
    error: dict[str, Any] | None = None
    """Why it was not sent: the response that the same request would have got at its time."""
    event_id: str | None = None
    finalised_ts: int | None = None


class DelayedEvents(Response, frozen=True):
    """What the user has scheduled."""

    delayed_events: list[DelayedEvent]


class Scheduled(Response, frozen=True):
    """The answer to a request that would otherwise have sent an event."""

    delay_id: str


schedule_delayed_event: Endpoint[ScheduleParams, Schedule, Scheduled] = Endpoint(
    operation_id="msc4140.scheduleDelayedEvent",
    method="PUT",
    paths=draft("/rooms/{room_id}/delayed_event/{event_type}/{txn_id}", _PREFIX),
    auth=Auth.GUEST,
    while_suspended=False,
    limit=Limit.MESSAGE,
    params=ScheduleParams,
    body=Schedule,
    response=Scheduled,
)

get_delayed_events: Endpoint[NoParams, NoBody, DelayedEvents] = Endpoint(
    operation_id="msc4140.getDelayedEvents",
    method="GET",
    paths=draft("/delayed_events", _PREFIX),
    auth=Auth.GUEST,
    response=DelayedEvents,
)

get_delayed_event: Endpoint[DelayParams, NoBody, DelayedEvent] = Endpoint(
    operation_id="msc4140.getDelayedEvent",
    method="GET",
    paths=draft("/delayed_events/{delay_id}", _PREFIX),
    auth=Auth.GUEST,
    params=DelayParams,
    response=DelayedEvent,
)

update_delayed_event: Endpoint[DelayParams, Update, None] = Endpoint(
    operation_id="msc4140.updateDelayedEvent",
    method="POST",
    paths=draft("/delayed_events/{delay_id}", _PREFIX),
    auth=Auth.OPTIONAL,
    params=DelayParams,
    body=Update,
)

act_on_delayed_event: Endpoint[ActionParams, NoBody, None] = Endpoint(
    operation_id="msc4140.actOnDelayedEvent",
    method="POST",
    paths=draft("/delayed_events/{delay_id}/{action}", _PREFIX),
    auth=Auth.OPTIONAL,
    params=ActionParams,
)
