"""Bring a database to the newest revision step by step, by Alembic."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, create_engine

from palpo.db import full_text
from palpo.db.errors import DatabaseError
from palpo.db.migrations import resumable
from palpo.db.migrations.collation import set_collation
from palpo.db.migrations.differences import hindrances, missing
from palpo.db.migrations.stated import revision_of, write_schema

__all__ = ["bring_to_head", "resumable", "settle", "upgrade_from_nothing"]
INITIAL = "0001_initial"
NAMED = 3
"""How many differences a refusal names."""


def bring_to_head(connection: Connection) -> None:
    """Run the revisions that a database has not seen."""
    if revision_of(connection) == INITIAL:
        _refuse(missing(connection, _initial_tables()))
    command.upgrade(_config(connection), "head")
    settle(connection)


def upgrade_from_nothing(connection: Connection, revision: str = "head") -> None:
    """Make an empty database by running the revisions up to one: what ``create`` must be equal to."""
    set_collation(connection)
    command.upgrade(_config(connection), revision)


def settle(connection: Connection) -> None:
    """Hold the database to the declared tables, and note that it has them."""
    _refuse(hindrances(connection))
    write_schema(connection)


def _refuse(found: Sequence[str]) -> None:
    """Raise DatabaseError where there is anything in ``found``."""
    if found:
        more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
        raise DatabaseError(
            f"its tables are not those of this release ({', '.join(found[:NAMED])}{more}): a development "
            "version or another program made them; start the version that did, or name an empty database"
        )


def _initial_tables() -> MetaData:
    """The tables as the frozen first revision makes them."""
    engine = create_engine("sqlite://")
    found = MetaData()
    with engine.begin() as connection:
        operations = Operations(MigrationContext.configure(connection))
        script = ScriptDirectory(str(Path(__file__).parent)).get_revision(INITIAL)
        with operations.context(operations.migration_context):
            script.module.upgrade()
        found.reflect(
            connection, only=lambda name, _: not any(name.startswith(n.name) for n in full_text.DECLARED)
        )
    engine.dispose()
    return found


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
