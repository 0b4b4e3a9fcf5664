"""What users have and do, for administrators (Synapse's "User Admin API")."""

from __future__ import annotations

from enum import Enum
from typing import Any

import msgspec

from palpo.core.identifiers import RoomId, UserId
from palpo.wire.admin.common import Direction, Milliseconds, PageParams, admin
from palpo.wire.client.account_moderation import WhoIs
from palpo.wire.endpoint import Auth, Body, Endpoint, NoBody, Params, Response, UserParams


class JoinedRooms(Response, frozen=True):
    """Rooms that a user is in."""

    joined_rooms: list[str]
    total: int


class Memberships(Response, frozen=True):
    """What a user is in rooms."""

    memberships: dict[str, str]


class SinceParams(Params, frozen=True):
    """A user, and since when."""

    user_id: UserId
    from_ts: Milliseconds


class InviteCount(Response, frozen=True):
    """Invites that were sent."""

    invite_count: int


class JoinedCount(Response, frozen=True):
    """Rooms that were joined."""

    cumulative_joined_room_count: int


class AccountDataByPlace(Response, frozen=True):
    """By type: what is of no room, and what is of each."""

    global_: dict[str, msgspec.Raw] = msgspec.field(name="global")
    rooms: dict[str, dict[str, msgspec.Raw]]


class AccountData(Response, frozen=True):
    """What a user has stored."""

    account_data: AccountDataByPlace


class Pusher(Response, frozen=True):
    """Where a user wants to be told of events."""

    app_display_name: str
    app_id: str
    data: msgspec.Raw
    device_display_name: str
    kind: str
    lang: str
    profile_tag: str | None
    pushkey: str
    enabled: bool
    device_id: str | None


class Pushers(Response, frozen=True):
    """All of a user's."""

    pushers: list[Pusher]
    total: int


class MediaOrder(Enum):
    """What a list of media is sorted by; those that are alike in it are by ID."""

    MEDIA_ID = "media_id"
    UPLOAD_NAME = "upload_name"
    CREATED_TS = "created_ts"
    LAST_ACCESS_TS = "last_access_ts"
    MEDIA_LENGTH = "media_length"
    MEDIA_TYPE = "media_type"
    QUARANTINED_BY = "quarantined_by"
    SAFE_FROM_QUARANTINE = "safe_from_quarantine"


class UserMediaParams(PageParams, frozen=True, kw_only=True):
    """Which of a user's media; where neither order nor direction is said, the newest first."""

    user_id: UserId
    order_by: MediaOrder | None = None
    dir: Direction | None = None

    @property
    def backwards(self) -> bool:
        """Whether the greatest come first."""
        if self.dir is None:
            return self.order_by is None
        return self.dir is Direction.BACKWARDS


class Media(Response, frozen=True):
    """A file. Times are milliseconds since the Unix epoch."""

    media_id: str
    media_type: str | None
    media_length: int | None
    upload_name: str | None
    created_ts: int
    url_cache: str | None
    last_access_ts: int | None
    quarantined_by: str | None
    safe_from_quarantine: bool
    user_id: str | None
    authenticated: bool
    sha256: str | None


class MediaPage(Response, frozen=True, omit_defaults=True):
    """A page of media; ``next_token`` is where the next one begins."""

    media: list[Media]
    total: int
    next_token: int | None = None


class DeletedMedia(Response, frozen=True):
    """The IDs of what was deleted."""

    deleted_media: list[str]
    total: int


class NewRedactions(Body, frozen=True):
    """What to redact: with no ``rooms``, in all that the user is in. Times are milliseconds."""

    rooms: list[RoomId]
    reason: str | None = None
    limit: int | None = None
    use_admin: bool = False
    after_ts: Milliseconds | None = None
    before_ts: Milliseconds | None = None


class Redacting(Response, frozen=True):
    """What the work is called."""

    redact_id: str


class RedactParams(Params, frozen=True):
    """What the work is called."""

    redact_id: str


class RedactStatus(Response, frozen=True):
    """``scheduled``, ``active``, ``complete`` or ``failed``, and why events were not redacted."""

    status: str
    failed_redactions: dict[str, Any]


who_is: Endpoint[UserParams, NoBody, WhoIs] = Endpoint(
    operation_id="synapse.whoIs",
    method="GET",
    paths=admin("/whois/{user_id}"),
    auth=Auth.ADMIN,
    params=UserParams,
    response=WhoIs,
)
list_joined_rooms: Endpoint[UserParams, NoBody, JoinedRooms] = Endpoint(
    operation_id="synapse.listJoinedRoomsOfUser",
    method="GET",
    paths=admin("/users/{user_id}/joined_rooms"),
    auth=Auth.ADMIN,
    params=UserParams,
    response=JoinedRooms,
)
list_memberships: Endpoint[UserParams, NoBody, Memberships] = Endpoint(
    operation_id="synapse.listMembershipsOfUser",
    method="GET",
    paths=admin("/users/{user_id}/memberships"),
    auth=Auth.ADMIN,
    params=UserParams,
    response=Memberships,
)
count_invites: Endpoint[SinceParams, NoBody, InviteCount] = Endpoint(
    operation_id="synapse.countInvitesOfUser",
    method="GET",
    paths=admin("/users/{user_id}/sent_invite_count"),
    auth=Auth.ADMIN,
    params=SinceParams,
    response=InviteCount,
)
count_joined: Endpoint[SinceParams, NoBody, JoinedCount] = Endpoint(
    operation_id="synapse.countRoomsJoinedByUser",
    method="GET",
    paths=admin("/users/{user_id}/cumulative_joined_room_count"),
    auth=Auth.ADMIN,
    params=SinceParams,
    response=JoinedCount,
)
get_account_data: Endpoint[UserParams, NoBody, AccountData] = Endpoint(
    operation_id="synapse.getAccountDataOfUser",
    method="GET",
    paths=admin("/users/{user_id}/accountdata"),
    auth=Auth.ADMIN,
    params=UserParams,
    response=AccountData,
)
list_pushers: Endpoint[UserParams, NoBody, Pushers] = Endpoint(
    operation_id="synapse.listPushersOfUser",
    method="GET",
    paths=admin("/users/{user_id}/pushers"),
    auth=Auth.ADMIN,
    params=UserParams,
    response=Pushers,
)
list_media: Endpoint[UserMediaParams, NoBody, MediaPage] = Endpoint(
    operation_id="synapse.listMediaOfUser",
    method="GET",
    paths=admin("/users/{user_id}/media"),
    auth=Auth.ADMIN,
    params=UserMediaParams,
    response=MediaPage,
)
delete_media: Endpoint[UserMediaParams, NoBody, DeletedMedia] = Endpoint(
    operation_id="synapse.deleteMediaOfUser",
    method="DELETE",
    paths=admin("/users/{user_id}/media"),
    auth=Auth.ADMIN,
    params=UserMediaParams,
    response=DeletedMedia,
)
redact: Endpoint[UserParams, NewRedactions, Redacting] = Endpoint(
    operation_id="synapse.redactEventsOfUser",
    method="POST",
    paths=admin("/user/{user_id}/redact"),
    auth=Auth.ADMIN,
    params=UserParams,
    body=NewRedactions,
    response=Redacting,
)
redact_status: Endpoint[RedactParams, NoBody, RedactStatus] = Endpoint(
    operation_id="synapse.getRedactStatus",
    method="GET",
    paths=admin("/user/redact_status/{redact_id}"),
    auth=Auth.ADMIN,
    params=RedactParams,
    response=RedactStatus,
)
