"""media: other servers' are found by their age."""

from alembic import op

revision = "0009_media"
down_revision = "0008_server_signing_keys"
branch_labels = None
depends_on = None
schema = "1980608e52f5fda6"
"""The hash of the tables that it leads to."""


def upgrade() -> None:
    """From the revision before to this one; may be repeated where it was cut short."""
    with op.batch_alter_table("media", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_media_user_id_expires_ts"))
        batch_op.create_index(
            "ix_media_user_id_expires_ts_created_ts", ["user_id", "expires_ts", "created_ts"], unique=False
        )
