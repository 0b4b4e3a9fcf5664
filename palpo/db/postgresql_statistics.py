"""What PostgreSQL's planner knows of the tables, as long as nobody else tells it.

Its own daemon looks once a minute, or never where it is turned off. Until then a table that was empty
when a statement was first planned passes for empty, and the plan that was good for that is kept.
"""

from __future__ import annotations

import asyncpg

from palpo.db.postgresql import close_connection, reaching

GROWN = """
    SELECT quote_ident(s.relname) FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid
    WHERE s.schemaname = current_schema() AND pg_has_role(c.relowner, 'USAGE')
    AND s.n_mod_since_analyze > 3 * greatest(c.reltuples, 50)
    ORDER BY s.relname
"""
"""Tables that are several times what they were when they were last looked at."""


class PostgresStatistics:
    """Keeps the planner of the database at ``url`` informed while tables grow fast."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def refresh(self) -> list[str]:
        """Have the tables looked at that have grown several times over; their names. Raises Unreachable."""
        with reaching():
            connection = await asyncpg.connect(
                self._url, timeout=10.0, server_settings={"application_name": "palpo statistics"}
            )
            try:
                tables = [str(row[0]) for row in await connection.fetch(GROWN, timeout=60.0)]
                for table in tables:
                    await connection.execute(f"ANALYZE {table}", timeout=600.0)
            finally:
                await close_connection(connection)
        return tables
