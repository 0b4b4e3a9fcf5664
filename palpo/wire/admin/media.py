"""Media, for administrators: quarantine, protection, deletion (Synapse's "Media admin API")."""

from __future__ import annotations

from typing import Annotated

import msgspec

from palpo.wire.admin.common import Count, Milliseconds, admin
from palpo.wire.endpoint import Auth, Endpoint, NoBody, Params, Response, RoomParams, UserParams


class MediaParams(Params, frozen=True):
    """``mxc://server_name/media_id``."""

    server_name: str
    media_id: str


class LocalMediaParams(Params, frozen=True):
    """Media of a user here."""

    media_id: str


class MediaInfo(Response, frozen=True):
    """What is known of a URI. Times are milliseconds since the Unix epoch."""

    media_origin: str
    user_id: str | None
    media_id: str
    media_type: str | None
    media_length: int | None
    upload_name: str | None
    created_ts: int
    filesystem_id: str | None
    """The name of the content in the store."""
    url_cache: str | None
    last_access_ts: int | None
    quarantined_by: str | None
    authenticated: bool
    safe_from_quarantine: bool | None
    sha256: str | None


class OneMedia(Response, frozen=True):
    """A URI."""

    media_info: MediaInfo


class RoomMedia(Response, frozen=True):
    """URIs that a room's events have, by whether they are this server's."""

    local: list[str]
    remote: list[str]


class Quarantined(Response, frozen=True):
    """How many were withheld that were not before."""

    num_quarantined: int


class QuarantineChange(Response, frozen=True):
    """A URI was withheld, or given out again."""

    origin: str
    media_id: str
    quarantined: bool


class QuarantineChangesParams(Params, frozen=True):
    """Where the last page ended."""

    from_: Count = msgspec.field(name="from", default=0)


class QuarantineChanges(Response, frozen=True):
    """What was withheld and given out again, the oldest first."""

    next_batch: int
    changes: list[QuarantineChange]


class Deleted(Response, frozen=True):
    """The media IDs that were deleted."""

    deleted_media: list[str]
    total: int


class DeleteMediaParams(Params, frozen=True):
    """Which media to delete: those that nobody has asked for since ``before_ts``."""

    before_ts: Milliseconds
    size_gt: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Bytes; only what is larger."""
    keep_profiles: bool = True
    """Keep what is the picture of a user or a room."""
    server_name: str | None = None


class PurgeParams(Params, frozen=True):
    """Which of other servers' media to forget."""

    before_ts: Milliseconds


class Purged(Response, frozen=True):
    """How many of other servers' media were forgotten."""

    deleted: int


query_media: Endpoint[MediaParams, NoBody, OneMedia] = Endpoint(
    operation_id="synapse.getMediaInfo",
    method="GET",
    paths=admin("/media/{server_name}/{media_id}"),
    auth=Auth.ADMIN,
    params=MediaParams,
    response=OneMedia,
)
list_room_media: Endpoint[RoomParams, NoBody, RoomMedia] = Endpoint(
    operation_id="synapse.listRoomMedia",
    method="GET",
    paths=admin("/room/{room_id}/media"),
    auth=Auth.ADMIN,
    params=RoomParams,
    response=RoomMedia,
)
quarantine_media: Endpoint[MediaParams, NoBody, None] = Endpoint(
    operation_id="synapse.quarantineMedia",
    method="POST",
    paths=admin("/media/quarantine/{server_name}/{media_id}"),
    auth=Auth.ADMIN,
    params=MediaParams,
)
release_media: Endpoint[MediaParams, NoBody, None] = Endpoint(
    operation_id="synapse.unquarantineMedia",
    method="POST",
    paths=admin("/media/unquarantine/{server_name}/{media_id}"),
    auth=Auth.ADMIN,
    params=MediaParams,
)
quarantine_room: Endpoint[RoomParams, NoBody, Quarantined] = Endpoint(
    operation_id="synapse.quarantineRoomMedia",
    method="POST",
    paths=(*admin("/room/{room_id}/media/quarantine"), *admin("/quarantine_media/{room_id}")),
    auth=Auth.ADMIN,
    params=RoomParams,
    response=Quarantined,
)
quarantine_user: Endpoint[UserParams, NoBody, Quarantined] = Endpoint(
    operation_id="synapse.quarantineUserMedia",
    method="POST",
    paths=admin("/user/{user_id}/media/quarantine"),
    auth=Auth.ADMIN,
    params=UserParams,
    response=Quarantined,
)
list_quarantine_changes: Endpoint[QuarantineChangesParams, NoBody, QuarantineChanges] = Endpoint(
    operation_id="synapse.listQuarantineChanges",
    method="GET",
    paths=admin("/media/quarantine_changes"),
    auth=Auth.ADMIN,
    params=QuarantineChangesParams,
    response=QuarantineChanges,
)
protect_media: Endpoint[LocalMediaParams, NoBody, None] = Endpoint(
    operation_id="synapse.protectMedia",
    method="POST",
    paths=admin("/media/protect/{media_id}"),
    auth=Auth.ADMIN,
    params=LocalMediaParams,
)
unprotect_media: Endpoint[LocalMediaParams, NoBody, None] = Endpoint(
    operation_id="synapse.unprotectMedia",
    method="POST",
    paths=admin("/media/unprotect/{media_id}"),
    auth=Auth.ADMIN,
    params=LocalMediaParams,
)
delete_media: Endpoint[MediaParams, NoBody, Deleted] = Endpoint(
    operation_id="synapse.deleteMedia",
    method="DELETE",
    paths=admin("/media/{server_name}/{media_id}"),
    auth=Auth.ADMIN,
    params=MediaParams,
    response=Deleted,
)
delete_old_media: Endpoint[DeleteMediaParams, NoBody, Deleted] = Endpoint(
    operation_id="synapse.deleteMediaByDate",
    method="POST",
    paths=(*admin("/media/delete"), *admin("/media/{server_name}/delete")),
    auth=Auth.ADMIN,
    params=DeleteMediaParams,
    response=Deleted,
)
purge_remote_media: Endpoint[PurgeParams, NoBody, Purged] = Endpoint(
    operation_id="synapse.purgeMediaCache",
    method="POST",
    paths=admin("/purge_media_cache"),
    auth=Auth.ADMIN,
    params=PurgeParams,
    response=Purged,
)
