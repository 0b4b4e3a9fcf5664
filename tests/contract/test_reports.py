"""Lists of reports, on every database."""

from __future__ import annotations

from dataclasses import replace

import pytest

from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.storage import reports as storage
from palpo.storage.reports import Report, Wanted

OF_USER = Report(
    position=0,
    reporter="@anna_x:test.example",
    room_id=None,
    event_id=None,
    user_id="@Bert:elsewhere.example",
    reason="rude",
    score=None,
    received_ts=1,
)
REPORTS = (
    OF_USER,
    replace(OF_USER, reporter="@carl:test.example", user_id="@dora:test.example"),
    replace(OF_USER, reporter="@carl:test.example", user_id=None, room_id="!Hens:test.example"),
    replace(OF_USER, user_id=None, room_id="!Hens:test.example", event_id="$e"),
)


@pytest.fixture
async def filled(database: Database) -> Database:
    async def unit(tx: WriteTransaction) -> None:
        for report in REPORTS:
            await storage.insert(tx, report)

    await database.write(unit)
    return database


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(), [0, 1, 2, 3]),
        (Wanted(about="user"), [0, 1]),
        (Wanted(about="room"), [2]),
        (Wanted(about="event"), [3]),
        (Wanted(reporter="ANNA"), [0, 3]),
        (Wanted(reporter="_"), [0, 3]),
        (Wanted(reporter="%"), []),
        (Wanted(reporter=""), [0, 1, 2, 3]),
        (Wanted(reported="bert", about="user"), [0]),
        (Wanted(room_id="!hens", reporter="carl"), [2]),
    ],
)
async def test_which_reports(filled: Database, wanted: Wanted, expected: list[int]) -> None:
    found = await filled.read(lambda tx: storage.page(tx, wanted, backwards=False, skipped=0, limit=9))
    assert [replace(report, position=0) for report in found] == [REPORTS[number] for number in expected]
    assert await filled.read(lambda tx: storage.total(tx, wanted)) == len(expected)
