"""server_meta: what a database knows of itself."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002_server_meta"
down_revision = "0001_initial"
branch_labels = None
depends_on = None
schema = "62f0b4e308b0eab3"
"""The hash of the tables that it leads to."""


def upgrade() -> None:
    """From the revision before to this one; may be repeated where it was cut short."""
    op.create_table(
        "server_meta",
        sa.Column(
            "name",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "value",
            sa.Text()
            .with_variant(mysql.LONGTEXT(), "mariadb")
            .with_variant(mysql.LONGTEXT(), "mysql")
            .with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_server_meta")),
    )
