"""Files that users upload, and previews of web pages."""

from __future__ import annotations

from dataclasses import dataclass

from palpo.media.images import ImageWorkers
from palpo.services.media.media import Media
from palpo.services.media.media_accesses import MediaAccesses
from palpo.services.media.media_cleanup import MediaCleanup
from palpo.services.media.quarantine import Quarantine
from palpo.services.media.url_previews import UrlPreviews


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaServices:
    """Those that other areas use, and the API."""

    images: ImageWorkers
    media: Media
    media_accesses: MediaAccesses
    media_cleanup: MediaCleanup
    quarantine: Quarantine
    url_previews: UrlPreviews
