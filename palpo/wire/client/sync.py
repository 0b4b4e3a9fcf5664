"""GET /sync (spec: client-server API, "Syncing")."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Raw

from palpo.wire.endpoint import Auth, Endpoint, Limit, NoBody, Params, Response, client


class SyncParams(Params, frozen=True):
    """What to sync, and how long to wait for it."""

    filter: str | None = None
    """A filter's ID, or the filter itself as JSON."""
    since: str | None = None
    full_state: bool = False
    set_presence: Literal["offline", "online", "unavailable"] | None = None
    timeout: int = 0
    """Milliseconds."""
    use_state_after: bool = False
    unstable_use_state_after: bool = msgspec.field(name="org.matrix.msc4222.use_state_after", default=False)


class Events(Response, frozen=True):
    """A list of events."""

    events: list[Raw]


class Timeline(Response, frozen=True):
    """A stretch of a room's timeline, oldest first."""

    events: list[Raw]
    limited: bool
    prev_batch: str


class Summary(Response, frozen=True):
    """What a client names a room by."""

    heroes: list[str] | None = msgspec.field(name="m.heroes", default=None)
    joined_member_count: int | None = msgspec.field(name="m.joined_member_count", default=None)
    invited_member_count: int | None = msgspec.field(name="m.invited_member_count", default=None)


class UnreadNotifications(Response, frozen=True):
    """Unread counts of a room or a thread."""

    highlight_count: int
    notification_count: int


class JoinedRoom(Response, frozen=True):
    """What is new in a room that the user is in."""

    timeline: Timeline
    ephemeral: Events
    account_data: Events
    unread_notifications: UnreadNotifications
    summary: Summary | None = None
    state: Events | None = None
    state_after: Events | None = None
    unstable_state_after: Events | None = msgspec.field(name="org.matrix.msc4222.state_after", default=None)
    unread_thread_notifications: dict[str, UnreadNotifications] | None = None


class LeftRoom(Response, frozen=True):
    """What was new in a room until the user left it."""

    timeline: Timeline
    account_data: Events
    state: Events | None = None
    state_after: Events | None = None
    unstable_state_after: Events | None = msgspec.field(name="org.matrix.msc4222.state_after", default=None)


class InvitedRoom(Response, frozen=True):
    """An invite."""

    invite_state: Events


class KnockedRoom(Response, frozen=True):
    """A knock that has not been answered."""

    knock_state: Events


class Rooms(Response, frozen=True):
    """News of rooms, by room ID."""

    join: dict[str, JoinedRoom] | None = None
    invite: dict[str, InvitedRoom] | None = None
    knock: dict[str, KnockedRoom] | None = None
    leave: dict[str, LeftRoom] | None = None


class DeviceLists(Response, frozen=True):
    """Whose devices have changed, and whose need not be followed any more."""

    changed: list[str]
    left: list[str]


class SyncResponse(Response, frozen=True):
    """Everything new since the token of the request."""

    next_batch: str
    account_data: Events | None = None
    presence: Events | None = None
    rooms: Rooms | None = None
    to_device: Events | None = None
    device_lists: DeviceLists | None = None
    device_one_time_keys_count: dict[str, int] | None = None
    device_unused_fallback_key_types: list[str] | None = None
    unstable_unused_fallback_key_types: list[str] | None = msgspec.field(
        name="org.matrix.msc2732.device_unused_fallback_key_types", default=None
    )


sync: Endpoint[SyncParams, NoBody, SyncResponse] = Endpoint(
    operation_id="sync",
    method="GET",
    paths=client("/sync"),
    auth=Auth.GUEST,
    limit=Limit.SYNC,
    params=SyncParams,
    response=SyncResponse,
)
