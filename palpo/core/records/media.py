"""Media."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaRecord:
    """One ``mxc://`` URI. Times are milliseconds since the Unix epoch, sizes bytes."""

    origin: str
    media_id: str
    user_id: str | None
    """Who uploaded it, or created the URI; None where that was no local user."""
    created_ts: int
    expires_ts: int | None = None
    """When the URI is lost: where no content has come by then, or where it is a preview's image."""
    sha256: bytes | None = None
    """Names the content; None where it has not been uploaded yet."""
    size: int = 0
    content_type: str = "application/octet-stream"
    filename: str | None = None
    authenticated: bool = False
    """It came after the endpoints that ask for no access token were frozen."""
    quarantined: bool = False
    quarantined_by: str | None = None
    protected: bool = False
    """Nobody quarantines it."""
    last_access_ts: int = 0
    """As it was kept last; 0: nobody has asked for it yet."""
