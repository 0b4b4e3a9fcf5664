"""POST /sync, simplified sliding sync (MSC4186), as clients call it under its unstable name.

The requests of MSC4186's text and those of the clients that came before it differ in places; both are
taken: ``pos``, ``timeout`` and ``set_presence`` in the body or the query string, ``range`` or ``ranges``,
``is_invited`` or ``is_invite``, ``required_state`` as an object or as pairs of type and state key.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from palpo.wire.client.thread_subscriptions import Subscribed, Unsubscribed
from palpo.wire.endpoint import Auth, Body, Endpoint, Limit, Params, Response, draft

THREAD_SUBSCRIPTIONS = "io.element.msc4308.thread_subscriptions"


class SlidingSyncParams(Params, frozen=True):
    """What older clients have in the query string."""

    pos: str | None = None
    timeout: int | None = None
    """Milliseconds."""
    set_presence: Literal["offline", "online", "unavailable"] | None = None


class RequiredStateElement(Body, frozen=True):
    """A pattern of state keys; what is absent matches anything."""

    type: str | None = None
    state_key: str | None = None


class RequiredStateRequest(Body, frozen=True):
    """The state that is wanted of a room."""

    include: list[RequiredStateElement] | None = None
    exclude: list[RequiredStateElement] | None = None
    lazy_members: bool | None = None


class SlidingRoomFilter(Body, frozen=True):
    """Which rooms are in a list."""

    is_dm: bool | None = None
    spaces: list[str] | None = None
    is_encrypted: bool | None = None
    is_invited: bool | None = None
    is_invite: bool | None = None
    room_types: list[str | None] | None = None
    not_room_types: list[str | None] | None = None
    tags: list[str] | None = None
    not_tags: list[str] | None = None


class RoomSubscription(Body, frozen=True):
    """What is wanted of rooms."""

    timeline_limit: int
    required_state: RequiredStateRequest | list[tuple[str, str]] | None = None
    include_heroes: bool | None = None


class SyncListConfig(RoomSubscription, frozen=True):
    """A list: its rooms, and what is wanted of them."""

    range: tuple[int, int] | None = None
    ranges: list[tuple[int, int]] | None = None
    filters: SlidingRoomFilter | None = None


class RoomsExtension(Body, frozen=True):
    """An extension about rooms; ``lists`` and ``rooms`` say which (MSC3959, MSC3960, MSC3961)."""

    enabled: bool | None = None
    lists: list[str] | None = None
    rooms: list[str] | None = None


class ToDeviceExtension(Body, frozen=True):
    """Messages to the device (MSC3885)."""

    enabled: bool | None = None
    since: str | None = None
    limit: int | None = None


class E2eeExtension(Body, frozen=True):
    """Device lists and key counts (MSC3884)."""

    enabled: bool | None = None


class ThreadSubscriptionsExtension(Body, frozen=True):
    """Which threads the user follows (MSC4308)."""

    enabled: bool | None = None
    limit: int | None = None


class ExtensionConfigs(Body, frozen=True):
    """The extensions that are known here."""

    to_device: ToDeviceExtension | None = None
    e2ee: E2eeExtension | None = None
    account_data: RoomsExtension | None = None
    receipts: RoomsExtension | None = None
    typing: RoomsExtension | None = None
    thread_subscriptions: ThreadSubscriptionsExtension | None = msgspec.field(
        name=THREAD_SUBSCRIPTIONS, default=None
    )


class SlidingSyncBody(Body, frozen=True):
    """What to sync."""

    conn_id: str | None = None
    pos: str | None = None
    timeout: int | None = None
    """Milliseconds."""
    set_presence: str | None = None
    lists: dict[str, SyncListConfig] | None = None
    room_subscriptions: dict[str, RoomSubscription] | None = None
    extensions: ExtensionConfigs | None = None


class SyncListResult(Response, frozen=True):
    """How many rooms match a list's filters."""

    count: int


class Hero(Response, frozen=True):
    """One of those whom a room without a name is called by."""

    user_id: str
    displayname: str | None = None
    avatar_url: str | None = None


class RoomResult(Response, frozen=True):
    """What is new in a room; what is absent has not changed, or is not set where ``initial``."""

    membership: str
    lists: list[str] | None = None
    bump_stamp: int | None = None
    initial: bool = False
    name: str | UnsetType | None = UNSET
    avatar: str | UnsetType | None = UNSET
    heroes: list[Hero] | None = None
    is_dm: bool | None = None
    required_state: list[Raw] | None = None
    timeline: list[Raw] | None = None
    prev_batch: str | None = None
    limited: bool | None = None
    num_live: int | None = None
    expanded_timeline: bool = False
    unstable_expanded_timeline: bool = False
    joined_count: int | None = None
    invited_count: int | None = None
    notification_count: int | None = None
    highlight_count: int | None = None
    stripped_state: list[Raw] | None = None
    invite_state: list[Raw] | None = None


class ToDeviceResult(Response, frozen=True):
    """Messages to the device, and the token that acknowledges them."""

    next_batch: str
    events: list[Raw] | None = None


class DeviceLists(Response, frozen=True):
    """Whose devices have changed, and whose need not be followed any more."""

    changed: list[str]
    left: list[str]


class E2eeResult(Response, frozen=True):
    """What end-to-end encryption needs to know."""

    device_one_time_keys_count: dict[str, int]
    device_unused_fallback_key_types: list[str]
    device_lists: DeviceLists | None = None


class AccountDataResult(Response, frozen=True):
    """Account data that has changed."""

    global_: list[Raw] | None = msgspec.field(name="global", default=None)
    rooms: dict[str, list[Raw]] | None = None


class EphemeralResult(Response, frozen=True):
    """One event for each room."""

    rooms: dict[str, Raw]


class ThreadSubscriptionsResult(Response, frozen=True):
    """The latest changes; ``prev_batch`` leads to those before them."""

    subscribed: dict[str, dict[str, Subscribed]] = msgspec.field(default_factory=dict)
    unsubscribed: dict[str, dict[str, Unsubscribed]] = msgspec.field(default_factory=dict)
    prev_batch: str | None = None


class ExtensionResults(Response, frozen=True):
    """What the extensions have to tell."""

    to_device: ToDeviceResult | None = None
    e2ee: E2eeResult | None = None
    account_data: AccountDataResult | None = None
    receipts: EphemeralResult | None = None
    typing: EphemeralResult | None = None
    thread_subscriptions: ThreadSubscriptionsResult | None = msgspec.field(
        name=THREAD_SUBSCRIPTIONS, default=None
    )


class SlidingSyncResponse(Response, frozen=True):
    """Everything new since ``pos`` of the request."""

    pos: str
    lists: dict[str, SyncListResult]
    rooms: dict[str, RoomResult]
    extensions: ExtensionResults


sliding_sync: Endpoint[SlidingSyncParams, SlidingSyncBody, SlidingSyncResponse] = Endpoint(
    operation_id="msc4186.sync",
    method="POST",
    paths=draft("/sync", "org.matrix.simplified_msc3575"),
    auth=Auth.GUEST,
    limit=Limit.SYNC,
    params=SlidingSyncParams,
    body=SlidingSyncBody,
    response=SlidingSyncResponse,
)
