"""What tables keep of users goes when they say, on every database, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from sqlalchemy import LargeBinary, SmallInteger, String, Table, select

from palpo.core.records.quotas import Kind
from palpo.db.engine import Database
from palpo.db.statements import Statement, upsert
from palpo.db.tables.kept import Kept, Until
from palpo.db.transaction import WriteTransaction
from palpo.storage import account_rows
from palpo.storage.account_rows import TABLES

ALICE, BOB = "@alice:test.example", "@bob:test.example"
OWNERS = {1: (ALICE, "OTHER"), 2: (ALICE, "PHONE"), 3: (BOB, "PHONE")}
"""Whose each row is, by its number: where there can be one of a user's only, it is the last."""
PUT = {table: upsert(table, key=[column.name for column in table.primary_key]) for table in TABLES}
ALL = {table: Statement(select(*table.c)) for table in TABLES}
Row = tuple[Any, ...]


def row(table: Table, of: Kept, number: int) -> dict[str, Any]:
    """A row of which every column says its number, but for those that say whose it is."""
    user_id, device_id = OWNERS[number]
    whose = {of.user: user_id, of.device: device_id} if of.parent is None else {}
    found: dict[str, Any] = {}
    for column in table.c:
        if isinstance(column.type, String):
            found[column.name] = str(number)
        elif isinstance(column.type, LargeBinary):
            found[column.name] = number.to_bytes(16, "big")
        else:
            found[column.name] = 0 if isinstance(column.type, SmallInteger) else number
        found[column.name] = whose.get(column.name, found[column.name])
    return found


async def fill(tx: WriteTransaction) -> None:
    for table, of in TABLES.items():
        for number in OWNERS:
            await tx.run(PUT[table], **row(table, of, number))


async def numbers(db: Database) -> dict[str, set[int]]:
    """The rows that there are, by table."""
    found = {}
    for table, of in TABLES.items():
        known = {tuple(row(table, of, number).values()): number for number in OWNERS}
        rows = await db.read(lambda tx, table=table: tx.all(ALL[table]))  # type: ignore[misc]
        found[table.name] = {known[tuple(item)] for item in rows}
    return found


Unit = Callable[[WriteTransaction], Any]
REMOVED: Mapping[str, tuple[Unit, Callable[[Kept], set[int]]]] = {
    "devices": (
        lambda tx: account_rows.delete_devices(tx, ALICE, ["PHONE", "UNKNOWN"]),
        lambda of: set() if of.device is None else {2},
    ),
    **{
        until.name.lower(): (
            lambda tx, until=until: account_rows.delete_user(tx, ALICE, until),  # type: ignore[misc]
            lambda of, until=until: {1, 2} if of.until is until else set(),  # type: ignore[misc]
        )
        for until in (Until.DEACTIVATION, Until.ERASURE)
    },
}


@pytest.mark.parametrize("what", REMOVED)
async def test_what_goes_and_what_stays(database: Database, what: str) -> None:
    unit, gone = REMOVED[what]
    await database.write(fill)
    before = await numbers(database)
    assert all(3 in found and len(found) > 1 for found in before.values())
    await database.write(unit)
    assert await numbers(database) == {
        table.name: before[table.name] - gone(of) for table, of in TABLES.items()
    }


async def test_nothing_that_stays_can_be_deleted(database: Database) -> None:
    with pytest.raises(KeyError):
        await database.write(lambda tx: account_rows.delete_user(tx, ALICE, Until.ALWAYS))


async def test_what_is_counted(database: Database) -> None:
    await database.write(fill)
    kinds = [kind for of in TABLES.values() for kind in of.counted]
    found = await database.read(lambda tx: account_rows.counted(tx, BOB, kinds))
    assert found == {
        **dict.fromkeys(kinds, 1),
        Kind.ACCOUNT_DATA_BYTES: 16,
        Kind.BACKUP_BYTES: 16,
        Kind.BACKUP_KEYS: 3,
        Kind.KEY_BYTES: 4 * 16,
    }
    nothing = await database.read(lambda tx: account_rows.counted(tx, "@eve:x", kinds))
    assert nothing == dict.fromkeys(kinds, 0)
