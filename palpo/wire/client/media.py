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
    P,
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


class UploadToParams(UploadParams, frozen=True, kw_only=True):
    """``PUT /upload/{serverName}/{mediaId}``."""

    server_name: str
    media_id: str


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
    admin_unsafely_bypass_quarantine: bool = False
    """An administrator wants to see what others are not shown (Synapse's "Media admin API")."""


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


def _download(
    today: str, before: str, path: str, params: type[P]
) -> tuple[Endpoint[P, NoBody, Stream], Endpoint[P, NoBody, Stream]]:
    """The endpoints of two operation IDs: of today, and of before, which asks for no access token."""
    return (
        Endpoint(
            operation_id=today,
            method="GET",
            paths=_authenticated(path),
            auth=Auth.GUEST,
            limit=Limit.MEDIA,
            params=params,
            response=Stream,
        ),
        Endpoint(
            operation_id=before,
            method="GET",
            paths=media(path),
            auth=Auth.NONE,
            limit=Limit.MEDIA,
            params=params,
            response=Stream,
            deprecated=True,
        ),
    )


get_content_authed, get_content = _download(
    "getContentAuthed", "getContent", "/download/{server_name}/{media_id}", DownloadParams
)
get_content_override_name_authed, get_content_override_name = _download(
    "getContentOverrideNameAuthed",
    "getContentOverrideName",
    "/download/{server_name}/{media_id}/{file_name}",
    NamedDownloadParams,
)
get_content_thumbnail_authed, get_content_thumbnail = _download(
    "getContentThumbnailAuthed", "getContentThumbnail", "/thumbnail/{server_name}/{media_id}", ThumbnailParams
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
