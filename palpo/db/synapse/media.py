"""Media as Synapse has them; the bytes are in files."""

from palpo.db.synapse.meta import boolean, integer, table, text

local_media_repository = table(
    "local_media_repository",
    text("media_id"),
    text("media_type"),
    integer("media_length"),
    integer("created_ts"),
    text("upload_name"),
    text("user_id"),
    text("quarantined_by"),
    text("url_cache"),
    integer("last_access_ts"),
    boolean("safe_from_quarantine"),
    boolean("authenticated"),
)
remote_media_cache = table(
    "remote_media_cache",
    text("media_origin"),
    text("media_id"),
    text("media_type"),
    integer("media_length"),
    integer("created_ts"),
    text("upload_name"),
    text("quarantined_by"),
    integer("last_access_ts"),
    boolean("authenticated"),
    text("filesystem_id"),
)
