"""Tables of profiles, and of the words that users are found by."""

from sqlalchemy import Column, Index, Table

from palpo.db.tables.kept import Until, kept
from palpo.db.tables.meta import blob, digest, identifier, integer, metadata

profiles = Table(
    "profiles",
    metadata,
    Column("user_id", identifier(), primary_key=True),
    Column("fields", blob(), nullable=False),
    Column("position", integer(), nullable=False),
    info=kept(Until.ERASURE),
)
"""``fields`` is a JSON object: every field of the profile by its name."""

user_words = Table(
    "user_words",
    metadata,
    Column("word", digest(64), primary_key=True),
    Column("user_id", identifier(), primary_key=True),
    Index("ix_user_words_user_id", "user_id"),
    info=kept(Until.DEACTIVATION),
)
"""Words of users' display names and localparts, in UTF-8 and folded; bytes, so that a prefix is a range
whatever the database's collation."""
