"""Media that other servers download (spec: server-server API, "Content Repository")."""

from __future__ import annotations

from palpo.wire.client.media import Method, Milliseconds, Pixels
from palpo.wire.endpoint import Auth, Endpoint, Limit, NoBody, Params, Stream, federation


class Download(Params, frozen=True):
    """What to download, and how long to wait for it."""

    media_id: str
    timeout_ms: Milliseconds | None = None


class Thumbnail(Download, frozen=True, kw_only=True):
    """What to make a thumbnail of, and at least of which size."""

    width: Pixels
    height: Pixels
    method: Method = Method.SCALE
    animated: bool = False


get_content: Endpoint[Download, NoBody, Stream] = Endpoint(
    operation_id="getContent",
    method="GET",
    paths=federation("/media/download/{media_id}"),
    auth=Auth.SERVER,
    limit=Limit.MEDIA,
    params=Download,
    response=Stream,
    api="server-server",
)
get_content_thumbnail: Endpoint[Thumbnail, NoBody, Stream] = Endpoint(
    operation_id="getContentThumbnail",
    method="GET",
    paths=federation("/media/thumbnail/{media_id}"),
    auth=Auth.SERVER,
    limit=Limit.MEDIA,
    params=Thumbnail,
    response=Stream,
    api="server-server",
)
