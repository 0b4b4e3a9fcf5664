"""Tables of who users are elsewhere."""

from sqlalchemy import Column, Index, Table

from palpo.db.tables.kept import Until, kept
from palpo.db.tables.meta import identifier, metadata

external_ids = Table(
    "external_ids",
    metadata,
    Column("auth_provider", identifier(), primary_key=True),
    Column("external_id", identifier(), primary_key=True),
    Column("user_id", identifier(), nullable=False),
    Index("ix_external_ids_user_id", "user_id"),
    info=kept(Until.ERASURE),
)
"""What a user is called at a provider of sign-on, by which they log in. It stays when the account is
deactivated, so that who signs on then is told so, and does not get a new account."""
