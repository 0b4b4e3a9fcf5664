"""Media: where it is, its bounds, previews of pages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from palpo.config.marks import SECRET
from palpo.config.section import Section


class PreviewConfig(Section, frozen=True):
    """Previews of web pages. The server asks for them itself: see `network`."""

    enabled: Annotated[bool, Meta(description="Whether there are any.")] = True
    max_page_bytes: Annotated[int, Meta(ge=1, description="How much of a page is read.")] = 2 * 1024 * 1024
    max_image_bytes: Annotated[int, Meta(ge=1, description="Larger images are left out.")] = 10 * 1024 * 1024
    timeout_seconds: Annotated[float, Meta(gt=0, description="For the page and its image.")] = 15.0
    cache_seconds: Annotated[int, Meta(ge=1, description="How long a preview is kept.")] = 3600


class S3Config(Section, frozen=True):
    """A bucket of an S3-compatible service for media, instead of the folder `data` (`palpo[s3]`).
    Without credentials here, those of the environment are used (`AWS_ACCESS_KEY_ID` and
    `AWS_SECRET_ACCESS_KEY`), or the machine's own where it runs in such a cloud.
    """

    bucket: Annotated[str, Meta(description="Its name; empty: media are files in `data`.")] = ""
    endpoint: Annotated[
        str, Meta(pattern="^(https?://.*)?$", description="URL of the service; empty: Amazon's.")
    ] = ""
    region: Annotated[str, Meta(description="Where the bucket is.")] = "us-east-1"
    prefix: Annotated[str, Meta(description="What the names of objects begin with.")] = ""
    access_key_id: Annotated[str, Meta(description="Empty: credentials are found as above.")] = ""
    secret_access_key: Annotated[str, Meta(description="The secret that belongs to it."), SECRET] = ""
    credentials_file: Annotated[
        Path | None,
        Meta(description="File with `aws_access_key_id` and `aws_secret_access_key`, instead of the above."),
    ] = None
    credentials_profile: Annotated[str, Meta(description="The section of that file.")] = "default"
    timeout_seconds: Annotated[float, Meta(gt=0, description="For one request to the service.")] = 30.0


class MediaConfig(Section, frozen=True):
    """The media repository."""

    max_upload_bytes: Annotated[int, Meta(ge=1, description="Larger uploads are refused.")] = 50 * 1024 * 1024
    max_pixels: Annotated[
        int,
        Meta(
            ge=1,
            description="Larger images get no thumbnails; half is the bound of other formats than JPEG, a "
            "quarter that of WebP. One large image is decoded at a time, in up to 4 bytes for each pixel.",
        ),
    ] = 64_000_000
    legacy: Annotated[
        bool,
        Meta(
            description="Serve new media at the deprecated endpoints too, which ask for no access token; "
            "what was uploaded while they did stays there."
        ),
    ] = False
    pending_seconds: Annotated[
        int, Meta(ge=1, description="How long a URI that was created ahead of its content waits for it.")
    ] = 24 * 3600
    max_pending: Annotated[int, Meta(ge=1, description="URIs of one user that wait for content.")] = 50
    delete_with_events: Annotated[
        bool,
        Meta(
            description="Where events are deleted (retention, purges, rooms), delete the media too that "
            "their senders uploaded and that nothing else names. What encrypted events name cannot be known."
        ),
    ] = True
    s3: S3Config = S3Config()
    previews: PreviewConfig = PreviewConfig()
