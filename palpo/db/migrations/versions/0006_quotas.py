"""quotas: rooms that a user has made."""

from alembic import op

revision = "0006_quotas"
down_revision = "0005_quotas"
branch_labels = None
depends_on = None
schema = "86f025902f89983b"
"""The hash of the tables that it leads to: those of the revision before."""

MADE = "FROM rooms AS r JOIN events AS e ON e.event_id = r.create_event_id"
INSERT = "INSERT INTO quota_usage (kind, user_id, amount)"


def upgrade() -> None:
    """From the revision before to this one; may be repeated where it was cut short."""
    op.execute("DELETE FROM quota_usage WHERE kind = 'rooms'")
    op.execute(f"{INSERT} SELECT 'rooms', e.sender, COUNT(*) {MADE} GROUP BY e.sender")
    op.execute(f"{INSERT} SELECT 'rooms', '', COUNT(*) {MADE}")
