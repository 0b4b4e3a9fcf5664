"""quotas: what users have."""

import sqlalchemy as sa
from alembic import op

revision = "0005_quotas"
down_revision = "0004_uia"
branch_labels = None
depends_on = None
schema = "86f025902f89983b"
"""The hash of the tables that it leads to."""


ACCOUNT_DATA = "account_data WHERE content IS NOT NULL AND type <> 'm.fully_read'"
MEDIA = "media WHERE sha256 IS NOT NULL AND user_id IS NOT NULL"
SESSIONS = "key_backup_sessions AS s JOIN key_backups AS b ON b.version = s.version"
COUNTED = (
    ("account_data", "COUNT(*)", ACCOUNT_DATA),
    ("account_data_bytes", "SUM(LENGTH(content))", ACCOUNT_DATA),
    ("media", "COUNT(*)", MEDIA),
    ("media_bytes", "SUM(size)", MEDIA),
    ("backup_versions", "COUNT(*)", "key_backups WHERE deleted = 0"),
    ("backup_keys", "COUNT(*)", SESSIONS),
    ("backup_bytes", "SUM(LENGTH(session_data))", SESSIONS),
    ("filters", "COUNT(*)", "filters"),
    ("devices", "COUNT(*)", "devices"),
    ("pushers", "COUNT(*)", "pushers"),
    ("thread_subscriptions", "COUNT(*)", "thread_subscriptions"),
    ("aliases", "COUNT(*)", "(SELECT creator AS user_id FROM room_aliases) AS made"),
    ("reports", "COUNT(*)", "(SELECT reporter AS user_id FROM reports) AS made"),
    ("to_device", "COUNT(*)", "to_device_messages"),
    ("to_device_bytes", "SUM(LENGTH(event))", "to_device_messages"),
    (
        "key_bytes",
        "SUM(size)",
        "(SELECT user_id, LENGTH(json) AS size FROM device_keys"
        " UNION ALL SELECT user_id, LENGTH(json) FROM one_time_keys"
        " UNION ALL SELECT user_id, LENGTH(json) FROM fallback_keys"
        " UNION ALL SELECT user_id, LENGTH(json) FROM cross_signing_keys) AS keys_",
    ),
)
"""What there is already, by user: kind, amount, and from what."""


def upgrade() -> None:
    """From the revision before to this one; may be repeated where it was cut short."""
    op.create_table(
        "quota_usage",
        sa.Column(
            "user_id",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "kind",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "kind", name=op.f("pk_quota_usage")),
    )
    with op.batch_alter_table("filters", schema=None) as batch_op:
        batch_op.add_column(sa.Column("position", sa.BigInteger(), nullable=True))

    with op.batch_alter_table("media_thumbnails", schema=None) as batch_op:
        batch_op.add_column(sa.Column("created_ts", sa.BigInteger(), server_default="0", nullable=False))
        batch_op.create_index("ix_media_thumbnails_created_ts", ["created_ts"], unique=False)

    with op.batch_alter_table("to_device_messages", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "sender",
                sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
                server_default="",
                nullable=False,
            )
        )
    op.execute("DELETE FROM quota_usage")
    for kind, amount, source in COUNTED:
        op.execute(
            f"INSERT INTO quota_usage (kind, user_id, amount) SELECT '{kind}', user_id, {amount}"
            f" FROM {source} GROUP BY user_id"
        )
    op.execute(
        "INSERT INTO quota_usage (kind, user_id, amount) SELECT kind, '', summed FROM"
        " (SELECT kind, SUM(amount) AS summed FROM quota_usage GROUP BY kind) AS sums"
    )
    op.execute(
        "INSERT INTO quota_usage (kind, user_id, amount) SELECT 'thumbnail_bytes', '', COALESCE(SUM(size), 0)"
        " FROM media_thumbnails WHERE sha256 <> source"
    )
