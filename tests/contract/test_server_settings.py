"""What a database says of itself, on all three."""

import time

from palpo.db.engine import Database
from palpo.db.server_settings import server_clock_ms, server_settings, unsafe


async def test_settings_and_clock(database: Database) -> None:
    settings = await database.read(server_settings)
    assert settings["version"][0].isdigit()
    assert len(settings) > 1
    there = await database.read(server_clock_ms)
    assert there is None or abs(there - time.time() * 1000) < 60_000


def test_what_is_not_safe() -> None:
    assert unsafe({"version": "17", "fsync": "on", "full_page_writes": "off"}) == ["full_page_writes = off"]
    assert unsafe({"innodb_flush_log_at_trx_commit": "2"}) == ["innodb_flush_log_at_trx_commit = 2"]
    assert unsafe({"fsync": "on", "innodb_flush_log_at_trx_commit": "1"}) == []
