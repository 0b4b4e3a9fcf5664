"""The content repository (spec: client-server API, "Content repository")."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import msgspec

from palpo.wire.endpoint import (
    Auth,
    Endpoint,
    Json,
    Limit,
    NoBody,
    NoParams,
    Params,
    Response,
    Stream,
    client,
    media,
)

MAX_BODY = 1 << 40
"""Bytes; the configured limit is the one that counts."""
Pixels = Annotated[int, msgspec.Meta(ge=1, le=1 << 31)]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]


class UploadParams(Params, frozen=True):
    """``POST /upload``."""

    filename: str | None = None


class UploadToParams(Params, frozen=True):
    """``PUT /upload/{serverName}/{mediaId}``."""

    server_name: str
    media_id: str
    filename: str | None = None


class ContentUri(Response, frozen=True):
    """Where uploaded content is."""

    content_uri: str


class CreatedUri(Response, frozen=True):
    """Where content will be, if it comes before ``unused_expires_at`` (milliseconds)."""

    content_uri: str
    unused_expires_at: int


class DownloadParams(Params, frozen=True):
    """What to download, and how long to wait for it."""

    server_name: str
    media_id: str
    timeout_ms: Milliseconds | None = None
    allow_remote: bool = True
    allow_redirect: bool = False


class NamedDownloadParams(DownloadParams, frozen=True, kw_only=True):
    """The same, under another file name."""

    file_name: str


class Method(Enum):
    """How an image is made to fit."""

    CROP = "crop"
    SCALE = "scale"


class ThumbnailParams(DownloadParams, frozen=True, kw_only=True):
    """What to make a thumbnail of, and at least of which size."""

    width: Pixels
    height: Pixels
    method: Method = Method.SCALE
    animated: bool = False


class PreviewParams(Params, frozen=True):
    """Which page; ``ts`` is the time (milliseconds) of which a preview is preferred."""

    url: str
    ts: int | None = None


class MediaLimits(Response, frozen=True):
    """What the repository takes."""

    upload_size: int = msgspec.field(name="m.upload.size")
    """Bytes."""


def _authenticated(path: str) -> tuple[str, ...]:
    return client(f"/media{path}", "v1", unstable=("org.matrix.msc3916",))


upload_content: Endpoint[UploadParams, Stream, ContentUri] = Endpoint(
    operation_id="uploadContent",
    method="POST",
    paths=media("/upload"),
    limit=Limit.UPLOAD,
    params=UploadParams,
    body=Stream,
    response=ContentUri,
    max_body=MAX_BODY,
)
upload_content_to_mxc: Endpoint[UploadToParams, Stream, None] = Endpoint(
    operation_id="uploadContentToMXC",
    method="PUT",
    paths=("/_matrix/media/v3/upload/{server_name}/{media_id}",),
    limit=Limit.UPLOAD,
    params=UploadToParams,
    body=Stream,
    max_body=MAX_BODY,
)
create_content: Endpoint[NoParams, NoBody, CreatedUri] = Endpoint(
    operation_id="createContent",
    method="POST",
    paths=("/_matrix/media/v1/create",),
    limit=Limit.UPLOAD,
    response=CreatedUri,
)

get_content_authed: Endpoint[DownloadParams, NoBody, Stream] = Endpoint(
    operation_id="getContentAuthed",
    method="GET",
    paths=_authenticated("/download/{server_name}/{media_id}"),
    auth=Auth.GUEST,
    limit=Limit.MEDIA,
    params=DownloadParams,
    response=Stream,
)
get_content_override_name_authed: Endpoint[NamedDownloadParams, NoBody, Stream] = Endpoint(
    operation_id="getContentOverrideNameAuthed",
    method="GET",
    paths=_authenticated("/download/{server_name}/{media_id}/{file_name}"),
    auth=Auth.GUEST,
    limit=Limit.MEDIA,
    params=NamedDownloadParams,
    response=Stream,
)
get_content_thumbnail_authed: Endpoint[ThumbnailParams, NoBody, Stream] = Endpoint(
    operation_id="getContentThumbnailAuthed",
    method="GET",
    paths=_authenticated("/thumbnail/{server_name}/{media_id}"),
    auth=Auth.GUEST,
    limit=Limit.MEDIA,
    params=ThumbnailParams,
    response=Stream,
)
get_url_preview_authed: Endpoint[PreviewParams, NoBody, Json] = Endpoint(
    operation_id="getUrlPreviewAuthed",
    method="GET",
    paths=_authenticated("/preview_url"),
    limit=Limit.PREVIEW,
    params=PreviewParams,
    response=Json,
)
get_config_authed: Endpoint[NoParams, NoBody, MediaLimits] = Endpoint(
    operation_id="getConfigAuthed",
    method="GET",
    paths=_authenticated("/config"),
    response=MediaLimits,
)

get_content: Endpoint[DownloadParams, NoBody, Stream] = Endpoint(
    operation_id="getContent",
    method="GET",
    paths=media("/download/{server_name}/{media_id}"),
    auth=Auth.NONE,
    limit=Limit.MEDIA,
    params=DownloadParams,
    response=Stream,
    deprecated=True,
)
get_content_override_name: Endpoint[NamedDownloadParams, NoBody, Stream] = Endpoint(
    operation_id="getContentOverrideName",
    method="GET",
    paths=media("/download/{server_name}/{media_id}/{file_name}"),
    auth=Auth.NONE,
    limit=Limit.MEDIA,
    params=NamedDownloadParams,
    response=Stream,
    deprecated=True,
)
get_content_thumbnail: Endpoint[ThumbnailParams, NoBody, Stream] = Endpoint(
    operation_id="getContentThumbnail",
    method="GET",
    paths=media("/thumbnail/{server_name}/{media_id}"),
    auth=Auth.NONE,
    limit=Limit.MEDIA,
    params=ThumbnailParams,
    response=Stream,
    deprecated=True,
)
get_url_preview: Endpoint[PreviewParams, NoBody, Json] = Endpoint(
    operation_id="getUrlPreview",
    method="GET",
    paths=media("/preview_url"),
    limit=Limit.PREVIEW,
    params=PreviewParams,
    response=Json,
    deprecated=True,
)
get_config: Endpoint[NoParams, NoBody, MediaLimits] = Endpoint(
    operation_id="getConfig",
    method="GET",
    paths=media("/config"),
    response=MediaLimits,
    deprecated=True,
)
