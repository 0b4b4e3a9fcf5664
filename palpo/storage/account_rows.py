"""Users' rows, of whatever noun: deleted and counted as their tables say (``palpo.db.tables.kept``)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from sqlalchemy import BindParameter, Table, bindparam, delete, select, union_all

from palpo.core.records.quotas import Kind
from palpo.db.statements import Statement, in_list
from palpo.db.tables import metadata
from palpo.db.tables.kept import Kept, Until
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.streams import topics

_USERS_OWN = [table for table in metadata.sorted_tables if "kept" in table.info]
TABLES: dict[Table, Kept] = {
    # Those that go with another table's rows come first, as long as these say whose they are.
    table: table.info["kept"]
    for table in sorted(_USERS_OWN, key=lambda table: table.info["kept"].parent is None)
}


_USER: BindParameter[str] = bindparam("user")


@dataclass(frozen=True, slots=True)
class _Deletion:
    """How rows of one table are deleted; ``keys`` finds those of its parent's that go too."""

    keys: Statement | None
    rows: Statement

    async def run(self, tx: WriteTransaction, **whose: Any) -> None:
        if self.keys is None:
            await tx.run(self.rows, **whose)
        elif found := [row[0] for row in await tx.all(self.keys, **whose)]:
            await tx.run(self.rows, keys=found)


def _deletion(table: Table, of: Kept, device: str | None = None) -> _Deletion:
    """Of a user's rows, or, where ``device`` is a column, of those of some devices."""
    said = _said(table, of).c
    whose = [said[of.user] == _USER]
    if device is not None:
        whose.append(in_list(said[device], "devices"))
    if of.parent is None:
        return _Deletion(None, Statement(delete(table).where(*whose)))
    keys = Statement(select(said[of.key]).where(*whose))
    return _Deletion(keys, Statement(delete(table).where(in_list(table.c[of.key], "keys"))))


def _count(kind: Kind) -> Statement:
    """A row for each table with something of the kind."""
    sums = []
    for table, of in TABLES.items():
        if kind in of.counted:
            of_user = select(of.counted[kind]).select_from(table).where(_said(table, of).c[of.user] == _USER)
            if of.parent is not None:
                of_user = of_user.where(table.c[of.key] == of.parent.c[of.key])
            sums.append(of_user)
    return Statement(union_all(*sums))


def _said(table: Table, of: Kept) -> Table:
    """Where it is said whose a row is."""
    return table if of.parent is None else of.parent


def _kinds(tables: Iterable[Kept]) -> tuple[Kind, ...]:
    return tuple({kind: None for of in tables for kind in of.counted})


_OF_DEVICES = [_deletion(table, of, of.device) for table, of in TABLES.items() if of.device is not None]
_OF_USERS = {
    until: [_deletion(table, of) for table, of in TABLES.items() if of.until is until]
    for until in (Until.DEACTIVATION, Until.ERASURE)
}
_COUNTS = {kind: _count(kind) for kind in _kinds(TABLES.values())}
COUNTED = tuple(_COUNTS)
"""The kinds that rows say how much there is of."""
COUNTED_OF_DEVICES = _kinds(of for of in TABLES.values() if of.device is not None)
"""The kinds of quotas of which users have less where devices go."""
COUNTED_UNTIL = {until: _kinds(of for of in TABLES.values() if of.until is until) for until in _OF_USERS}
"""Those of which they have less where their account ends."""


def statements() -> Iterator[Statement]:
    """All that are run here."""
    for deletion in chain(_OF_DEVICES, *_OF_USERS.values()):
        yield from (deletion.rows,) if deletion.keys is None else (deletion.keys, deletion.rows)
    yield from _COUNTS.values()


async def delete_devices(tx: WriteTransaction, user_id: str, device_ids: Sequence[str]) -> None:
    """Delete all that goes with devices, their own rows included."""
    for deletion in _OF_DEVICES:
        await deletion.run(tx, user=user_id, devices=list(device_ids))
    tx.notify(topics.SESSION, user_id)
    tx.notify(topics.PUSHERS, user_id)
    tx.notify(topics.ONE_TIME_KEYS, user_id)


async def delete_user(tx: WriteTransaction, user_id: str, until: Until) -> None:
    """Delete all of a user's that is kept ``until`` their account ends; no device is told of it."""
    for deletion in _OF_USERS[until]:
        await deletion.run(tx, user=user_id)
    tx.notify(topics.USER, user_id)
    tx.notify(topics.PROFILE, user_id)
    tx.notify(topics.ACCOUNT_DATA, user_id)
    tx.notify(topics.PUSH_RULES, user_id)
    tx.notify(topics.PUSHERS, user_id)


async def counted(tx: Transaction, user_id: str, kinds: Collection[Kind]) -> dict[Kind, int]:
    """How much a user has of some kinds by the rows that there are, as their tables count them."""
    return {
        kind: sum(int(row[0] or 0) for row in await tx.all(_COUNTS[kind], user=user_id)) for kind in kinds
    }
