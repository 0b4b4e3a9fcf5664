"""Tables of the server-side backups of room keys."""

from sqlalchemy import Column, Index, Table, column, func

from palpo.core.records.quotas import Kind
from palpo.db.tables.kept import Until, kept, kept_with
from palpo.db.tables.meta import blob, flag, identifier, integer, metadata, text

key_backups = Table(
    "key_backups",
    metadata,
    Column("version", integer(), primary_key=True, autoincrement=False),
    Column("user_id", identifier(), nullable=False),
    Column("algorithm", text(), nullable=False),
    Column("auth_data", blob(), nullable=False),
    Column("etag", integer(), nullable=False),
    Column("count", integer(), nullable=False),
    Column("deleted", flag(), nullable=False),
    Column("name", identifier()),
    Index("ix_key_backups_user_id_version", "user_id", "version"),
    Index("ix_key_backups_user_id_name", "user_id", "name"),
    info=kept(
        Until.ERASURE,
        counted={
            Kind.BACKUP_KEYS: func.sum(column("count")),
            Kind.BACKUP_VERSIONS: func.sum(1 - column("deleted")),
        },
    ),
)
"""``version`` is a stream position, so that a later backup has a greater one. ``etag`` counts the
writes that changed something, ``count`` the keys. Of a deleted backup only this row stays. ``name`` is what
the user's clients know as the version where that is another: those from another server keep theirs."""

key_backup_sessions = Table(
    "key_backup_sessions",
    metadata,
    Column("version", integer(), primary_key=True, autoincrement=False),
    Column("room_id", identifier(), primary_key=True),
    Column("session_id", identifier(), primary_key=True),
    Column("first_message_index", integer(), nullable=False),
    Column("forwarded_count", integer(), nullable=False),
    Column("is_verified", flag(), nullable=False),
    Column("session_data", blob(), nullable=False),
    info=kept_with(
        key_backups, "version", counted={Kind.BACKUP_BYTES: func.sum(func.length(column("session_data")))}
    ),
)
