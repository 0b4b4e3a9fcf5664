"""accounts: lists of users, shadow bans, overrides of rate limits, logins by administrators."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0027_accounts"
down_revision = "0026_sign_on"
branch_labels = None
depends_on = None
schema = "e0e555307beea0b3"
"""The hash of the tables that it leads to."""


def upgrade() -> None:
    """From the revision before to this one; may be repeated where it was cut short."""
    op.create_table(
        "cross_signing_resets",
        sa.Column(
            "user_id",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("until_ts", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_cross_signing_resets")),
    )
    op.create_table(
        "rate_limit_overrides",
        sa.Column(
            "user_id",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("per_second", sa.BigInteger(), nullable=False),
        sa.Column("burst", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_rate_limit_overrides")),
    )
    with op.batch_alter_table("access_tokens", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "made_by",
                sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
                nullable=True,
            )
        )
        batch_op.create_index("ix_access_tokens_made_by", ["made_by"], unique=False)

    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.add_column(sa.Column("shadow_banned", sa.SmallInteger(), server_default="0", nullable=False))
        batch_op.add_column(
            sa.Column(
                "user_type",
                sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
                nullable=True,
            )
        )
        batch_op.add_column(
            sa.Column(
                "list_name",
                sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
                server_default="",
                nullable=False,
            )
        )
        batch_op.add_column(
            sa.Column(
                "list_avatar",
                sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
                server_default="",
                nullable=False,
            )
        )
        batch_op.add_column(sa.Column("last_seen_ts", sa.BigInteger(), server_default="0", nullable=False))

    op.execute(
        "UPDATE users SET last_seen_ts = COALESCE("
        "(SELECT MAX(devices.last_seen_ts) FROM devices WHERE devices.user_id = users.user_id), 0)"
    )
    _list_users()


def _list_users() -> None:
    """Write what users are listed by, from their profiles."""
    connection, after = op.get_bind(), ""
    found = sa.text(
        "SELECT users.user_id, profiles.fields FROM users JOIN profiles ON profiles.user_id = users.user_id "
        "WHERE users.user_id > :after ORDER BY users.user_id LIMIT 500"
    )
    change = sa.text("UPDATE users SET list_name = :name, list_avatar = :avatar WHERE user_id = :user")
    while rows := connection.execute(found, {"after": after}).fetchall():
        for user_id, fields in rows:
            profile = json.loads(bytes(fields))
            name, avatar = profile.get("displayname"), profile.get("avatar_url")
            values = {
                "name": name.casefold().replace("\0", "")[:255] if isinstance(name, str) else "",
                "avatar": avatar.replace("\0", "")[:255] if isinstance(avatar, str) else "",
            }
            connection.execute(change, {"user": user_id, **values})
        after = rows[-1][0]
