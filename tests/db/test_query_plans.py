"""No statement reads a whole table, but for the few whose tables are small or whose use is rare."""

from __future__ import annotations

import importlib
import pkgutil
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import palpo.services
import palpo.storage
import palpo.sync
import palpo.workers
from palpo.db.migrations.upgrade import upgrade
from palpo.db.statements import UNHEX, Statement
from palpo.db.tables import metadata
from palpo.storage import account_rows
from palpo.storage.surplus import Surplus

WHOLE_TABLES = {
    "accounts._DEACTIVATIONS": "only those that are under way are kept",
    "inbound_pdus._IN_ALL": "few rows wait, and their number is bounded",
    "inbound_pdus._ROOMS": "few rows wait, and their number is bounded",
    "leftover_media._ANY": "the first row will do",
    "leftover_media._LOOKED_FOR": "media are noted for a while only, when events are deleted",
    "leftover_media._NEXT": "media are noted for a while only, when events are deleted",
    "leases._HELD": "a few rows, read when a backup is put back",
    "media._OLDEST_THUMBNAILS": "in the order of an index, the first will do",
    "media._PREVIEW_SIZES": "previews are few, live for an hour, and cost a request elsewhere",
    "media_references._SIZE_OF_THUMBNAILS": "once a day, and when an administrator deletes",
    "oauth._NEWEST_CLIENTS": "in the order of an index, and once for many registrations",
    "oauth._SURPLUS_DEVICE_CODES.last": "in the order of an index, and once for many devices",
    "push_queue._ANY_PUSHER": "the first row will do",
    "push_queue._DUE": "only what could not be pushed yet is kept",
    "registration_tokens._ALL": "an administrator asks",
    "registration_tokens._ANY": "the first row will do",
    "registration_tokens._PAGE": "an administrator asks",
    "registration_tokens._TOTAL": "an administrator asks",
    "admin_counts._REPORTS": "an administrator asks",
    "admin_counts._ROOMS": "an administrator asks",
    "admin_counts._USERS": "an administrator asks",
    "audit_log._COUNT": "an administrator asks",
    "reports._COUNT": "an administrator asks",
    "reports._OF_TIME": "an import from Synapse compares them, once",
    "destination_edus._DESTINATIONS": "few rows wait, and their number is bounded",
    "destinations._ALL": "an operator asks",
    "destinations._FAILING": "at a start, those that could not be told",
    "rendezvous._SURPLUS.last": "in the order of an index, and once for many",
    "restoration._ETAGS": "only when a backup was put back",
    "restoration._FALLBACKS": "only when a backup was put back",
    "inbound_pdus._NAMED": "only when an operator asks, and of a bounded number",
    "restoration._QUEUES": "only when a backup was put back",
    "restoration._UNCLAIMED": "only when a backup was put back",
    "restoration._WITH_KEYS": "only when a backup was put back",
    "room_directory._ALL": "the directory is what is asked for",
    "room_directory._EVERY_NETWORK": "the directory is what is asked for",
    "jobs._COUNTS": "an administrator asks, and those that have ended are forgotten",
    "registration_tokens._ALL_HELD": "an administrator asks, and registrations under way are few",
    "history_purge._DELETE_PUSHES": "only what could not be pushed yet is kept, and history is purged rarely",
    "room_rows._DELETE_PUSHES": "only what could not be pushed yet is kept, and a room is deleted rarely",
    "room_summaries._MISSING": "an administrator asks",
    "room_summaries._OUTDATED": "an administrator asks, and a worker now and then",
    "room_sizes._LONGEST": "an administrator asks",
    "room_sizes._MEAN": "an administrator asks, and it looks at a thousand rows",
    "room_servers._SERVERS": "an administrator asks",
    "room_servers._ANY": "the first row will do",
    "server_meta._ALL": "a few rows, read at a start",
    "server_meta._ANY_USER": "the first row will do",
    "uia._SURPLUS.last": "in the order of an index, and once for many stages",
}
"""The statements that may, with the reason."""


def statements() -> Iterator[tuple[str, Statement]]:
    """Every statement of a module, by its module's last name and its own."""
    names = ["palpo.db.consumers", "palpo.db.leases"]
    for package in (palpo.storage, palpo.services, palpo.sync, palpo.workers):
        names += [found.name for found in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
    # Those are of another server's database, which is read from end to end when it is imported.
    names = [name for name in names if not name.startswith("palpo.storage.synapse.")]
    for module in names:
        for name, value in vars(importlib.import_module(module)).items():
            yield from in_value(f"{module.rpartition('.')[2]}.{name}", value)
    for number, statement in enumerate(account_rows.statements()):
        yield f"account_rows.{number}", statement


def in_value(name: str, value: object) -> Iterator[tuple[str, Statement]]:
    """The statements that a module's value is, or holds."""
    if isinstance(value, Statement):
        yield name, value
    elif isinstance(value, Surplus):
        yield f"{name}.last", value.last
        yield f"{name}.older", value.older
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from in_value(f"{name}.{key}", item)


def scanned(connection: sqlite3.Connection, statement: Statement) -> set[str]:
    """The tables that SQLite would read from end to end."""
    sql = statement.compiled("sqlite").sql
    plan = connection.execute("EXPLAIN QUERY PLAN " + sql, [1] * sql.count("?")).fetchall()
    found = (re.match(r"SCAN (\w+)", row[3]) for row in plan)
    return {match[1] for match in found if match is not None} & metadata.tables.keys()


def test_no_statement_reads_a_whole_table(tmp_path: Path) -> None:
    upgrade(f"sqlite:///{tmp_path / 'palpo.db'}")
    connection = sqlite3.connect(tmp_path / "palpo.db")
    connection.create_function(UNHEX, 1, bytes.fromhex, deterministic=True)
    all_statements = dict(statements())
    found = {name for name, statement in all_statements.items() if scanned(connection, statement)}
    connection.close()

    assert len(all_statements) > 300
    assert found == WHOLE_TABLES.keys()
