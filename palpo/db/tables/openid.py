"""Tables of OpenID tokens."""

from sqlalchemy import Column, Index, Table

from palpo.db.tables.kept import Until, kept
from palpo.db.tables.meta import digest, identifier, integer, metadata

openid_tokens = Table(
    "openid_tokens",
    metadata,
    Column("token_hash", digest(32), primary_key=True),
    Column("user_id", identifier(), nullable=False),
    Column("expires_ts", integer(), nullable=False),
    Index("ix_openid_tokens_expires_ts", "expires_ts"),
    info=kept(Until.ALWAYS, why="It expires, and is of no use without the account"),
)
