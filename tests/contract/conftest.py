"""Databases for the contract tests: each of the three behind one fixture.

SQLite is always there. The others are reached by PALPO_TEST_POSTGRESQL_URL and PALPO_TEST_MYSQL_URL,
which ``scripts/services start`` prints; where one is not set its tests are skipped, or fail where
PALPO_REQUIRE_SERVICES=1 says that they must run. Each test process makes a database of its own
there, migrates it once, and empties it before each test.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvloop
from sqlalchemy import delete
from sqlalchemy.engine import make_url

from palpo.db.connect import create_engine
from palpo.db.engine import Database
from palpo.db.migrations.rows import INITIAL_ROWS
from palpo.db.migrations.upgrade import upgrade
from palpo.db.statements import Statement, insert_row
from palpo.db.tables import metadata
from palpo.db.transaction import WriteTransaction
from tests.support.databases import administer, service_url
from tests.support.homeserver import Client, Homeserver, homeserver

BACKENDS = ("sqlite", "postgresql", "mysql")
DELETES = [Statement(delete(table)) for table in reversed(metadata.sorted_tables)]
INITIAL = [(insert_row(metadata.tables[name]), rows) for name, rows in INITIAL_ROWS.items()]


@dataclass(slots=True)
class Servers:
    """The databases that this test process made, by the name of their kind."""

    directory: Path
    worker: str
    made: dict[str, str] = field(default_factory=dict)

    def sqlite_template(self) -> Path:
        """An empty, migrated SQLite file."""
        if "sqlite" not in self.made:
            path = self.directory / "template.db"
            upgrade(f"sqlite:///{path}")
            self.made["sqlite"] = str(path)
        return Path(self.made["sqlite"])

    def server_url(self, backend: str, suffix: str = "", *, migrated: bool = True) -> str:
        """The URL of a database of our own on ``backend``'s server, made at the first call."""
        key = backend + suffix
        if key not in self.made:
            base = service_url(backend.upper())
            name = f"palpo_test_{os.getpid()}_{self.worker}{suffix}"
            uvloop.run(remake(base, name))
            url = make_url(base).set(database=name).render_as_string(hide_password=False)
            self.made[key] = url
            if migrated:
                upgrade(url)
        return self.made[key]

    def drop(self) -> None:
        """Drop what was made on servers."""
        for key, url in self.made.items():
            if key != "sqlite":
                backend = "postgresql" if key.startswith("postgresql") else "mysql"
                base = os.environ[f"PALPO_TEST_{backend.upper()}_URL"]
                uvloop.run(administer(base, f"DROP DATABASE IF EXISTS {make_url(url).database}"))


async def remake(base: str, name: str) -> None:
    """Make the database ``name`` anew on the server at ``base``.

    On PostgreSQL one that sorts text as people do, where the server can: the columns must see to
    their own order whatever the database's is.
    """
    await administer(base, f"DROP DATABASE IF EXISTS {name}")
    if base.startswith("postgres"):
        import asyncpg

        icu = f"CREATE DATABASE {name} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'"
        with contextlib.suppress(asyncpg.PostgresError):
            await administer(base, icu)
            return
    await administer(base, f"CREATE DATABASE {name}")


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    servers = Servers(tmp_path_factory.mktemp("db"), worker)
    yield servers
    servers.drop()


@pytest.fixture(
    params=[
        pytest.param(name, marks=() if name == "sqlite" else getattr(pytest.mark, name)) for name in BACKENDS
    ]
)
def backend(request: pytest.FixtureRequest) -> str:
    """``sqlite``, ``postgresql`` and ``mysql`` in turn."""
    return str(request.param)


@pytest.fixture
def database_url(backend: str, servers: Servers, tmp_path: Path) -> str:
    """A migrated database; as new once ``database`` has opened it."""
    if backend != "sqlite":
        return servers.server_url(backend)
    path = tmp_path / "palpo.db"
    shutil.copy(servers.sqlite_template(), path)
    return f"sqlite:///{path}"


@pytest.fixture
def empty_database_url(backend: str, servers: Servers, tmp_path: Path) -> str:
    """A database without a table in it."""
    if backend == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    url = servers.server_url(backend, "_empty", migrated=False)
    base = os.environ[f"PALPO_TEST_{backend.upper()}_URL"]
    name = make_url(url).database
    uvloop.run(remake(base, str(name)))
    return url


async def empty(tx: WriteTransaction) -> None:
    """A unit of work that leaves the database as it is when new."""
    for statement in DELETES:
        await tx.run(statement)
    for insert, rows in INITIAL:
        await tx.many(insert, rows)


Connect = Callable[[], Awaitable[Database]]


@pytest.fixture
async def connect(database_url: str) -> AsyncIterator[Connect]:
    """Open one more ``Database`` on the test's database, as another process would."""
    async with AsyncExitStack() as stack:

        async def open_one() -> Database:
            database = Database(create_engine(database_url))
            await database.open()
            stack.push_async_callback(database.close)
            return database

        yield open_one


@pytest.fixture
async def database(backend: str, connect: Connect) -> Database:
    """An open database with nothing in it but the initial rows."""
    database = await connect()
    if backend != "sqlite":
        await database.write(empty)
    return database


@pytest.fixture
async def server(database: Database, database_url: str, tmp_path: Path) -> AsyncIterator[Homeserver]:
    async with homeserver(tmp_path, database={"url": database_url}) as made:
        yield made


@pytest.fixture
async def alice(server: Homeserver) -> Client:
    return await server.register("alice")
