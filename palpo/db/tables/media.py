"""Tables of the media repository: what was uploaded, its thumbnails, and previews of web pages."""

from sqlalchemy import Column, Index, Table

from palpo.db.tables.kept import Until, kept
from palpo.db.tables.meta import blob, digest, flag, identifier, integer, metadata, text

media = Table(
    "media",
    metadata,
    Column("origin", identifier(), primary_key=True),
    Column("media_id", identifier(), primary_key=True),
    Column("user_id", identifier()),
    Column("created_ts", integer(), nullable=False),
    Column("expires_ts", integer()),
    Column("sha256", digest(32)),
    Column("size", integer(), nullable=False),
    Column("content_type", identifier(), nullable=False),
    Column("filename", text()),
    Column("authenticated", flag(), nullable=False),
    Column("quarantined", flag(), nullable=False),
    Column("quarantined_by", identifier()),
    Column("protected", flag(), nullable=False, server_default="0"),
    Column("last_access_ts", integer(), nullable=False, server_default="0"),
    Index("ix_media_last_access_ts", "last_access_ts"),
    Index("ix_media_user_id_expires_ts_created_ts", "user_id", "expires_ts", "created_ts"),
    Index("ix_media_user_id_created_ts_size", "user_id", "created_ts", "size"),
    Index("ix_media_expires_ts", "expires_ts"),
    Index("ix_media_sha256", "sha256"),
    info=kept(Until.ALWAYS, why="Rooms show it"),
)
"""``mxc://origin/media_id``. ``sha256`` names the bytes; it is null where the URI was created ahead of its
content. ``expires_ts`` is set for these, and for images of previews, which are not kept for ever.
``user_id`` is null for what no local user uploaded: images of previews, and other servers' media.
``authenticated``: it came after the deprecated endpoints were frozen, which do not serve it. ``protected``:
nobody quarantines it. ``last_access_ts`` is kept now and then; 0: nobody has asked for it yet."""

quarantined_hashes = Table(
    "quarantined_hashes",
    metadata,
    Column("sha256", digest(32), primary_key=True),
    Column("by", identifier(), nullable=False),
    Column("created_ts", integer(), nullable=False),
    info=kept(Until.ALWAYS, user="by", why="It is about the content"),
)
"""Content that is quarantined, whatever URI it comes under."""

media_quarantine_changes = Table(
    "media_quarantine_changes",
    metadata,
    Column("position", integer(), primary_key=True, autoincrement=False),
    Column("origin", identifier(), nullable=False),
    Column("media_id", identifier(), nullable=False),
    Column("quarantined", flag(), nullable=False),
)
"""What was quarantined and given out again, in order."""

leftover_media = Table(
    "leftover_media",
    metadata,
    Column("origin", identifier(), primary_key=True),
    Column("media_id", identifier(), primary_key=True),
    Column("looked_for", flag(), nullable=False),
)
"""Media of events that were deleted, until it is known whether anything else has them. ``looked_for``: that
is being found out; what has come since waits."""

media_thumbnails = Table(
    "media_thumbnails",
    metadata,
    Column("source", digest(32), primary_key=True),
    Column("variant", identifier(), primary_key=True),
    Column("sha256", digest(32), nullable=False),
    Column("size", integer(), nullable=False),
    Column("content_type", identifier(), nullable=False),
    Column("created_ts", integer(), nullable=False, server_default="0"),
    Index("ix_media_thumbnails_sha256", "sha256"),
    Index("ix_media_thumbnails_created_ts", "created_ts"),
)
"""Thumbnails by the SHA-256 of what they were made from and by variant: ``crop-96x96``,
``scale-320x240-animated``."""

url_previews = Table(
    "url_previews",
    metadata,
    Column("url_hash", digest(32), primary_key=True),
    Column("expires_ts", integer(), nullable=False),
    Column("preview", blob()),
    Index("ix_url_previews_expires_ts", "expires_ts"),
)
"""Previews by the SHA-256 of the URL: a JSON object, or null where there was none to be had."""
