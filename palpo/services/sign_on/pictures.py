"""Users' pictures from elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator

import structlog

from palpo.core.errors import MatrixError
from palpo.core.identifiers import UserId
from palpo.net.http_client import HttpError
from palpo.services.accounts.profiles import Profiles
from palpo.services.media.media import Media, Upload
from palpo.services.server import Server

log = structlog.get_logger("palpo.sign_on")

MAX_PICTURE = 2 * 1024 * 1024
"""Bytes."""
TIMEOUT_S = 20.0
REDIRECTS = 3
TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


class Pictures:
    """Takes pictures over into the media of this server."""

    def __init__(self, server: Server, media: Media, profiles: Profiles) -> None:
        self._http = server.http
        self._media = media
        self._profiles = profiles
        self._server_name = server.name

    async def take_over(self, user_id: UserId, url: str) -> None:
        """Make what is at ``url`` the user's avatar; a picture that cannot be had is done without."""
        try:
            content, content_type = await self._fetch(url)
            if content_type not in TYPES:
                return
            record = await self._media.upload(
                user_id, Upload(chunks=_once(content), declared_size=len(content), content_type=content_type)
            )
            avatar = f"mxc://{self._server_name}/{record.media_id}"
            await self._profiles.set_field(user_id, "avatar_url", avatar)
        except (HttpError, MatrixError) as error:
            log.info("picture_not_taken_over", user=user_id, error=str(error))

    async def _fetch(self, url: str) -> tuple[bytes, str]:
        async with self._http.request("GET", url, timeout_s=TIMEOUT_S, redirects=REDIRECTS) as response:
            if response.status != 200:
                return b"", ""
            return await response.read(MAX_PICTURE), response.content_type


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
