"""Whether a Synapse's database is one that can be imported."""

from __future__ import annotations

from palpo.core.identifiers import ServerName
from palpo.db.engine import Database
from palpo.storage.synapse import server as storage

OLDEST, NEWEST = 73, 94
"""Versions of Synapse's schema: from Synapse 1.70 on."""


async def check_source(db: Database, server_name: ServerName) -> None:
    """Raises ValueError for a schema that is not known, rooms in part, and users of another server."""
    version = await db.read(storage.schema_version)
    if version is None or not OLDEST <= version <= NEWEST:
        raise ValueError(
            f"its schema has version {version}, and those from {OLDEST} to {NEWEST} are known: "
            "have a Synapse of our time upgrade it first"
        )
    partial = await db.read(storage.partial_rooms)
    if partial:
        raise ValueError(f"it lacks members of {partial} rooms: let Synapse fetch them, and stop it then")
    user_id = await db.read(storage.any_user)
    if user_id is not None and user_id.partition(":")[2] != server_name:
        raise ValueError(f"{user_id} is no user of {server_name}")
