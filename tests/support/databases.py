"""The databases that tests run on: SQLite, PostgreSQL, or SQLite that lets others have their turns.

``PALPO_TEST_DATABASE`` names the one under the homeservers of tests that ask for none of their own:

    sqlite       a file each, a copy of one that each worker migrates once (the default)
    postgresql   a database on the server at PALPO_TEST_POSTGRESQL_URL, emptied for each
    yielding     SQLite, but with turns of the event loop between a unit of work and who waits for it
"""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest
from sqlalchemy.engine import make_url

from palpo.db.migrations.upgrade import upgrade
from palpo.db.tables import metadata
from palpo.db.tables.stream_position import stream_position
from tests.support.yielding import yielding

EMPTY = ";".join(
    [
        f"DELETE FROM {table.name}"
        for table in reversed(metadata.sorted_tables)
        if table is not stream_position
    ]
    + [f"UPDATE {stream_position.name} SET position = 0"]
)
"""Leaves a database as it is when new, but for the hash of its tables.

Foreign keys are not checked meanwhile: for each row that would be a look at all that is gone already."""
KINDS = ("sqlite", "postgresql", "yielding")
_lent: dict[Path, str] = {}
"""The PostgreSQL databases of the test that runs, by the data folder of their homeserver."""
_free: list[str] = []
"""Those that tests before it have used: to empty one is ten times as quick as to make one."""


def kind() -> str:
    """What ``PALPO_TEST_DATABASE`` names; raises ValueError for what is none of KINDS."""
    name = os.environ.get("PALPO_TEST_DATABASE") or "sqlite"
    if name not in KINDS:
        raise ValueError(f"PALPO_TEST_DATABASE is one of {', '.join(KINDS)}, not {name!r}")
    return name


def service_url(name: str) -> str:
    """The URL of a service for tests, ``POSTGRESQL``, ``MYSQL`` or ``REDIS``; skips or fails without."""
    variable = f"PALPO_TEST_{name}_URL"
    url = os.environ.get(variable)
    if url:
        return url
    reason = f"not run: {variable} is not set (scripts/services start)"
    if os.environ.get("PALPO_REQUIRE_SERVICES") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


async def administer(url: str, *statements: str) -> None:
    """Run statements that need no transaction on the server at ``url``."""
    if url.startswith("postgres"):
        import asyncpg

        postgres = await asyncpg.connect(url)
        try:
            for statement in statements:
                await postgres.execute(statement)
        finally:
            await postgres.close()
        return
    import asyncmy

    from palpo.db.mysql import connect_options

    mysql = await asyncmy.connect(**connect_options(url))
    for statement in statements:
        await mysql.query(statement)
    await mysql.ensure_closed()


async def prepare(data: Path) -> str | None:
    """A migrated database for a homeserver in the folder ``data``: its URL, or None for the folder's file.

    The second time it is the same one, with what it holds.
    """
    if kind() == "postgresql":
        return await _postgresql(data)
    if not (data / "palpo.db").exists():
        shutil.copy(_sqlite_template(), data / "palpo.db")
    return None


def turns() -> AbstractContextManager[None]:
    """Within it, an application that is made has the engine of ``PALPO_TEST_DATABASE``."""
    return yielding() if kind() == "yielding" else nullcontext()


def give_back() -> None:
    """The test has ended: others may have its databases."""
    _free.extend(_lent.values())
    _lent.clear()


def drop() -> None:
    """Drop what this process has made on the server."""
    give_back()
    names = [make_url(url).database for url in _free]
    if names:
        statements = [f"DROP DATABASE IF EXISTS {name} WITH (FORCE)" for name in (*names, _template())]
        asyncio.run(administer(service_url("POSTGRESQL"), *statements))
        _free.clear()


async def _postgresql(data: Path) -> str:
    if data not in _lent:
        if _free:
            url = _free.pop()
            await administer(url, EMPTY)
        else:
            url = await _made()
        _lent[data] = url
    return _lent[data]


async def _made() -> str:
    template = await asyncio.to_thread(_template)
    name = f"{template}_{len(_lent)}"
    await administer(service_url("POSTGRESQL"), f"CREATE DATABASE {name} TEMPLATE {template}")
    return _url_of(name)


@cache
def _sqlite_template() -> Path:
    path = Path(mkdtemp(prefix="palpo-test-")) / "template.db"
    upgrade(f"sqlite:///{path}")
    return path


@cache
def _template() -> str:
    """The name of a migrated PostgreSQL database of this process, made at the first call."""
    name = f"palpo_test_{os.getpid()}_template"
    base = service_url("POSTGRESQL")
    asyncio.run(administer(base, f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}"))
    upgrade(_url_of(name))
    return name


def _url_of(name: str) -> str:
    return make_url(service_url("POSTGRESQL")).set(database=name).render_as_string(hide_password=False)
