"""Where the media of other servers come from."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteContent:
    """What another server answers: its content has not been read."""

    content_type: str
    """As the other server says; empty where it does not."""
    filename: str | None
    chunks: AsyncIterator[bytes]


class RemoteMedia(Protocol):
    """Downloads from other servers."""

    def fetch(
        self, server_name: str, media_id: str, *, timeout_ms: int
    ) -> AbstractAsyncContextManager[RemoteContent]:
        """The content of ``mxc://server_name/media_id``.

        Raises MatrixError: NotFound where it is not there, 502 where the server cannot be reached,
        M_NOT_YET_UPLOADED (504) where it says so. ``chunks`` may raise them too.
        """
        ...
