"""What a database says of itself: its version, its clock, and whether a commit outlives a power cut."""

from __future__ import annotations

from sqlalchemy import Executable, text

from palpo.db.statements import Statement
from palpo.db.transaction import Transaction

_SETTINGS = {
    "postgresql": {
        "version": "current_setting('server_version')",
        "fsync": "current_setting('fsync')",
        "synchronous_commit": "current_setting('synchronous_commit')",
        "full_page_writes": "current_setting('full_page_writes')",
        "max_connections": "current_setting('max_connections')",
        "encoding": "current_setting('server_encoding')",
    },
    "mysql": {
        "version": "CAST(VERSION() AS CHAR)",
        "innodb_flush_log_at_trx_commit": "CAST(@@innodb_flush_log_at_trx_commit AS CHAR)",
        "innodb_doublewrite": "CAST(@@innodb_doublewrite AS CHAR)",
        "max_connections": "CAST(@@max_connections AS CHAR)",
    },
    "sqlite": {
        "version": "sqlite_version()",
        "journal_mode": "(SELECT journal_mode FROM pragma_journal_mode())",
    },
}
_CLOCK = {
    "postgresql": "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
    "mysql": "SELECT CAST(UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS SIGNED)",
    "sqlite": "SELECT NULL",
}
_UNSAFE = {
    "fsync": ("off",),
    "synchronous_commit": ("off",),
    "full_page_writes": ("off",),
    "innodb_flush_log_at_trx_commit": ("0", "2"),
    "innodb_doublewrite": ("0", "OFF"),
}
"""Settings with which what was committed may be lost, or torn."""


def _settings(dialect: str) -> Executable:
    rows = [f"SELECT '{name}', {value}" for name, value in _SETTINGS[dialect].items()]
    return text(" UNION ALL ".join(rows))


def _clock(dialect: str) -> Executable:
    return text(_CLOCK[dialect])


_STATEMENT, _NOW = Statement(_settings), Statement(_clock)


async def server_settings(tx: Transaction) -> dict[str, str]:
    """Its settings that matter here, by name, with its ``version``."""
    return {str(row[0]): str(row[1]) for row in await tx.all(_STATEMENT)}


async def server_clock_ms(tx: Transaction) -> int | None:
    """What time it is there, in milliseconds since the Unix epoch; None where the clock is this machine's."""
    found = await tx.value(_NOW)
    return None if found is None else int(found)


def unsafe(settings: dict[str, str]) -> list[str]:
    """Those of the settings with which a power cut may cost what was acknowledged."""
    return [f"{name} = {value}" for name, value in settings.items() if value in _UNSAFE.get(name, ())]
