"""Media of a Synapse."""

from __future__ import annotations

from sqlalchemy import select

from palpo.db.synapse.media import local_media_repository, remote_media_cache
from palpo.storage.synapse.pages import Pages

_l = local_media_repository.c
LOCAL = Pages(
    local_media_repository,
    "media_id",
    # Images of previews are made anew, and what was never uploaded has no length.
    of=select(*local_media_repository.c).where(_l.url_cache.is_(None), _l.media_length.is_not(None)),
)
"""Its own users'."""
REMOTE = Pages(remote_media_cache, "media_origin", "media_id")
"""Those of other servers."""
