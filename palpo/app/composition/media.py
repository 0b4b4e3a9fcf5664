"""The media repository."""

from __future__ import annotations

from functools import cached_property

from palpo.app.composition.base import random_id
from palpo.app.composition.user_data import UserDataServices
from palpo.media.blobs import BlobStore
from palpo.media.images import ImageWorkers
from palpo.media.remote import NoRemoteMedia
from palpo.media.stores import open_store
from palpo.services.media.media import Media
from palpo.services.media.media_cleanup import MediaCleanup
from palpo.services.media.url_previews import UrlPreviews
from palpo.services.server.health import Health


class MediaServices(UserDataServices):
    """The media repository."""

    @cached_property
    def blobs(self) -> BlobStore:
        return open_store(self.config.media, self.config.data / "media")

    @cached_property
    def images(self) -> ImageWorkers:
        return ImageWorkers(max_pixels=self.config.media.max_pixels)

    @cached_property
    def media(self) -> Media:
        return Media(
            self.config.media,
            self.db,
            self.clock,
            self.wakeups,
            self.blobs,
            self.images,
            NoRemoteMedia(),
            self.quotas,
            server_name=self.server_name,
            random_id=random_id,
        )

    @cached_property
    def media_cleanup(self) -> MediaCleanup:
        return MediaCleanup(self.db, self.clock, self.blobs, self.quotas)

    @cached_property
    def health(self) -> Health:
        return Health(self.db, self.blobs)

    @cached_property
    def url_previews(self) -> UrlPreviews:
        return UrlPreviews(
            self.config.media,
            self.db,
            self.clock,
            self.http,
            self.blobs,
            self.images,
            self.quotas,
            server_name=self.server_name,
        )
