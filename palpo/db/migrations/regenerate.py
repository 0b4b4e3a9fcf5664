"""Write the initial revision anew from the declared tables: ``python -m palpo.db.migrations.regenerate``.

Then run ``ruff format`` on it. Only until the first release: a revision that was released is never
changed.
"""

from __future__ import annotations

from pathlib import Path

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from palpo.db import full_text
from palpo.db.migrations import HEAD
from palpo.db.migrations.rows import INITIAL_ROWS
from palpo.db.tables import metadata

TEMPLATE = '''"""Every table as of the first release.

Written by ``python -m palpo.db.migrations.regenerate``: change the tables, not this.
"""
# ruff: noqa: E501

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = {revision!r}
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make every table, and the rows that are there from the beginning."""
    {body}
{full_text}{rows}'''


def initial_revision() -> str:
    """The source of the initial revision."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        migrations = produce_migrations(MigrationContext.configure(connection), metadata)
    engine.dispose()
    upgrades = migrations.upgrade_ops
    assert upgrades is not None
    rows = "".join(
        f"    op.bulk_insert(sa.table({name!r}, {_columns(name)}), {[dict(row) for row in rows]!r})\n"
        for name, rows in INITIAL_ROWS.items()
    )
    return TEMPLATE.format(
        revision=HEAD, body=render_python_code(upgrades).strip(), full_text=_full_text(), rows=rows
    )


def _full_text() -> str:
    """What makes the full-text indexes, which Alembic knows nothing of."""
    dialects = {
        dialect: [statement for index in full_text.DECLARED for statement in index.statements()[dialect]]
        for dialect in ("sqlite", "postgresql", "mysql")
    }
    return (
        f"    full_text = {dialects!r}\n"
        "    connection = op.get_bind()\n"
        '    dialect = "mysql" if connection.dialect.name == "mariadb" else connection.dialect.name\n'
        "    for statement in full_text[dialect]:\n"
        "        connection.exec_driver_sql(statement)\n"
    )


def _columns(name: str) -> str:
    return ", ".join(
        f"sa.column({column.name!r}, sa.BigInteger())" for column in metadata.tables[name].columns
    )


if __name__ == "__main__":
    (Path(__file__).parent / "versions" / f"{HEAD}.py").write_text(initial_revision(), encoding="utf-8")
