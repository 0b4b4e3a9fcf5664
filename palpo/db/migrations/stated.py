"""What a database says of itself: the revision that it is at, and the hash of its tables."""

from __future__ import annotations

from sqlalchemy import Connection, delete, inspect, select, text

from palpo.db.migrations import HEAD, before_additions, revisions
from palpo.db.migrations.declared import declared_hash
from palpo.db.tables.accounts import users
from palpo.db.tables.server_meta import server_meta

SCHEMA = "schema"
"""The name, in ``server_meta``, of the hash of the tables that the database has."""
WORKS_WITH = "works_with"
"""The name of the revisions before, with a space between them, whose releases work with the tables too."""


def is_up_to_date(connection: Connection) -> bool:
    """Whether the database is at HEAD, with the tables that are declared."""
    return revision_of(connection) == HEAD and schema_of(connection) == declared_hash()


def any_user(connection: Connection) -> str | None:
    """One of the users of a database of any revision; None where it has none, or is not of this program."""
    if revision_of(connection) not in revisions():
        return None
    found: str | None = connection.scalar(select(users.c.user_id).limit(1))
    return found


def revision_of(connection: Connection) -> str | None:
    """The revision that the database is at; None where it has none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def schema_of(connection: Connection) -> str | None:
    """The hash of the tables that the database says it has; None where it says nothing."""
    if not inspect(connection).has_table(server_meta.name):
        return None
    value: str | None = connection.scalar(select(server_meta.c.value).where(server_meta.c.name == SCHEMA))
    return value


def works_with(connection: Connection) -> list[str]:
    """The revisions before its own whose releases work with the database too."""
    if not inspect(connection).has_table(server_meta.name):
        return []
    value = connection.scalar(select(server_meta.c.value).where(server_meta.c.name == WORKS_WITH))
    return (value or "").split()


def write_schema(connection: Connection) -> None:
    """Say in the database that it has the declared tables, and who works with them too."""
    facts = {SCHEMA: declared_hash(), WORKS_WITH: " ".join(before_additions())}
    for name, value in facts.items():
        connection.execute(delete(server_meta).where(server_meta.c.name == name))
        connection.execute(server_meta.insert(), {"name": name, "value": value})
