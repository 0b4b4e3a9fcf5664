"""A copy of a database in one of any kind: the same rows, and a server goes on with it."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import uvloop
from sqlalchemy.engine import make_url

from palpo.db.copies import rows
from palpo.db.copies.copy import copy_database
from palpo.db.copies.vacuum import vacuum
from palpo.db.engine import Database
from palpo.db.errors import BadValue, DatabaseError
from palpo.db.migrations.connection import on_connection
from palpo.db.migrations.differences import differences
from palpo.db.migrations.start import bring_up_to_date
from palpo.db.tables import metadata
from tests.contract.conftest import Servers, remake
from tests.support.homeserver import Client, Homeserver, homeserver

KINDS = ("sqlite", "postgresql", "mysql")
ODD_TEXT = ("", " ", "a", "A", "a ", "ä", "🐘", "' \" \\ % ?\n", "x" * 255)
ODD_BYTES = (b"", bytes(range(256)), b"\x00" * 3, b"\\x00")


@pytest.fixture(params=[pytest.param(kind, marks=getattr(pytest.mark, kind, ())) for kind in KINDS])
def target_url(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> str:
    """An empty database of each kind."""
    return empty_one(str(request.param), servers, tmp_path)


@pytest.fixture
def next_url(backend: str, servers: Servers, tmp_path: Path) -> str:
    """An empty database of another kind."""
    return empty_one(KINDS[KINDS.index(backend) - 2], servers, tmp_path)


def empty_one(kind: str, servers: Servers, tmp_path: Path) -> str:
    if kind == "sqlite":
        return f"sqlite:///{tmp_path / 'target.db'}"
    url = servers.server_url(kind, "_target", migrated=False)
    base = os.environ[f"PALPO_TEST_{kind.upper()}_URL"]
    uvloop.run(remake(base, str(make_url(url).database)))
    return url


@pytest.fixture
def small_target(servers: Servers, tmp_path: Path) -> str:
    """An empty SQLite file."""
    return f"sqlite:///{tmp_path / 'target.db'}"


@dataclass
class Told:
    """What a copy says of its progress; may stop it."""

    stop_at: Callable[[str, str], bool] = lambda _done, _table: False
    said: list[tuple[str, str, int, int]] = field(default_factory=list)

    def __call__(self, done: str, table: str, number: int, total: int) -> None:
        self.said.append((done, table, number, total))
        if self.stop_at(done, table):
            raise KeyboardInterrupt

    def rows_of(self, table: str) -> list[int]:
        return [number for done, name, number, _ in self.said if (done, name) == ("copied", table)]


def fill_oddly(connection: sa.Connection) -> None:
    """Rows with whatever the columns' types can hold."""
    for number, text in enumerate(ODD_TEXT):
        for blob in ODD_BYTES:
            row = {"user_id": "@a:b", "room_id": text, "type": f"{blob.hex()[:20]}", "content": blob}
            row |= {"position": (-1) ** number * (2**63 - 1)}
            table = metadata.tables["account_data"]
            connection.execute(table.insert(), {**defaults(table), **row})


def defaults(table: sa.Table) -> dict[str, Any]:
    """A value for each column that has to have one."""
    return {
        column.name: b"" if isinstance(column.type, sa.LargeBinary) else 0
        for column in table.columns
        if not column.nullable and not isinstance(column.type, sa.String)
    }


def all_rows(connection: sa.Connection) -> dict[str, list[Any]]:
    """But for the hash of the tables, which a database that the tests empty has lost."""
    return {
        table.name: sorted(map(repr, connection.execute(sa.select(table)).all()))
        for table in metadata.sorted_tables
        if table.name != "server_meta"
    }


def back(client: Client, server: Homeserver) -> Client:
    """The same device, at a server that was started again."""
    again = Client(server.http, client.user_id, client.token, client.device_id)
    again._transactions = client._transactions + 1000
    return again


async def in_thread(work: Callable[..., Any], *arguments: Any) -> Any:
    return await asyncio.to_thread(work, *arguments)


async def test_a_copy_has_the_same_rows_and_tables(
    database_url: str, database: Database, target_url: str
) -> None:
    await in_thread(on_connection, database_url, fill_oddly)

    copied = await in_thread(copy_database, database_url, target_url, Told())

    original = await in_thread(on_connection, database_url, all_rows)
    assert await in_thread(on_connection, target_url, all_rows) == original
    assert copied >= sum(map(len, original.values()))
    assert len(original["account_data"]) == len(ODD_TEXT) * len(ODD_BYTES)
    assert await in_thread(on_connection, target_url, differences) == []
    await in_thread(bring_up_to_date, target_url)


async def test_a_server_goes_on_with_a_copy(tmp_path: Path, target_url: str, servers: Servers) -> None:
    source = tmp_path / "palpo.db"
    shutil.copy(servers.sqlite_template(), source)
    data = tmp_path / "data"
    data.mkdir()
    async with homeserver(data, database={"url": f"sqlite:///{source}"}) as server:
        alice, bob = await server.register("alice"), await server.register("bob")
        room = await alice.create_room(preset="public_chat", topic="Elephants 🐘")
        await bob.post(f"/join/{room}")
        await alice.send(room, "a trumpeting elephant")
        since = (await bob.get("/sync"))["next_batch"]
        await alice.send(room, "unread")

    await in_thread(copy_database, f"sqlite:///{source}", target_url, Told())

    async with homeserver(data, database={"url": target_url}) as server:
        alice, bob = back(alice, server), back(bob, server)
        await alice.send(room, "after the move")
        news = (await bob.get("/sync", params={"since": since, "timeout": 0}))["rooms"]["join"][room]
        assert [event["content"]["body"] for event in news["timeline"]["events"]] == [
            "unread",
            "after the move",
        ]
        body = {"search_categories": {"room_events": {"search_term": "trumpeting"}}}
        found = await bob.post("/search", body)
        assert found["search_categories"]["room_events"]["count"] == 1
        assert (await bob.get(f"/rooms/{room}/state/m.room.topic"))["topic"] == "Elephants 🐘"


async def test_a_copy_that_was_cut_short_goes_on_where_it_was(
    database_url: str, database: Database, next_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "BATCH_ROWS", 10)
    await in_thread(on_connection, database_url, fill_oddly)
    with pytest.raises(KeyboardInterrupt):
        await in_thread(copy_database, database_url, next_url, Told(lambda _, table: table == "account_data"))

    with pytest.raises(DatabaseError, match="not whole yet"):
        await in_thread(bring_up_to_date, next_url)
    told = Told()
    await in_thread(copy_database, database_url, next_url, told)

    assert told.rows_of("account_data") == [20, 30, 36]
    assert await in_thread(on_connection, next_url, all_rows) == await in_thread(
        on_connection, database_url, all_rows
    )
    await in_thread(bring_up_to_date, next_url)


async def test_a_copy_that_was_cut_short_while_it_was_finished_is_finished(
    database_url: str, database: Database, next_url: str
) -> None:
    with pytest.raises(KeyboardInterrupt):
        await in_thread(copy_database, database_url, next_url, Told(lambda done, _: done == "indexed"))

    await in_thread(copy_database, database_url, next_url, Told())

    assert await in_thread(on_connection, next_url, differences) == []


async def test_a_database_with_something_in_it_is_left_alone(
    database_url: str, database: Database, small_target: str
) -> None:
    await in_thread(bring_up_to_date, small_target)

    with pytest.raises(DatabaseError, match="not empty"):
        await in_thread(copy_database, database_url, small_target, Told())


async def test_what_has_changed_since_a_copy_was_begun_is_not_gone_on_with(
    database_url: str, database: Database, small_target: str
) -> None:
    with pytest.raises(KeyboardInterrupt):
        await in_thread(copy_database, database_url, small_target, Told(lambda done, _: done == "copied"))
    await in_thread(
        on_connection, database_url, lambda c: c.execute(sa.text("UPDATE stream_position SET position = 7"))
    )

    with pytest.raises(DatabaseError, match="unfinished copy"):
        await in_thread(copy_database, database_url, small_target, Told())


async def test_a_copy_that_is_not_alike_is_found(
    database_url: str, database: Database, small_target: str
) -> None:
    await in_thread(on_connection, database_url, fill_oddly)

    def change(connection: sa.Connection) -> None:
        connection.execute(sa.text("UPDATE account_data SET position = 5 WHERE room_id = 'A'"))

    def changing(done: str, _table: str) -> bool:
        if done == "compared" and not changed:
            changed.append(on_connection(small_target, change))
        return False

    changed: list[None] = []
    with pytest.raises(DatabaseError, match="not alike: account_data"):
        await in_thread(copy_database, database_url, small_target, Told(changing))


@pytest.mark.postgresql
async def test_what_the_other_database_cannot_hold_is_named(tmp_path: Path, servers: Servers) -> None:
    source = tmp_path / "palpo.db"
    shutil.copy(servers.sqlite_template(), source)
    await in_thread(
        on_connection,
        f"sqlite:///{source}",
        lambda c: c.execute(metadata.tables["consumers"].insert(), {"name": "a\0b", "position": 1}),
    )
    url = servers.server_url("postgresql", "_target", migrated=False)
    base = os.environ["PALPO_TEST_POSTGRESQL_URL"]
    await remake(base, str(make_url(url).database))

    with pytest.raises(BadValue, match="consumers"):
        await in_thread(copy_database, f"sqlite:///{source}", url, Told())


@pytest.mark.usefixtures("database")
async def test_space_that_deleted_rows_have_left_is_given_back(database_url: str) -> None:
    def fill(connection: sa.Connection) -> None:
        filters = metadata.tables["filters"]
        rows = [
            {"user_id": "@a:a", "filter_id": str(number), "filter": os.urandom(1000), "position": None}
            for number in range(3000)
        ]
        connection.execute(filters.insert(), rows)

    def empty(connection: sa.Connection) -> None:
        connection.execute(metadata.tables["filters"].delete())

    await asyncio.to_thread(on_connection, database_url, fill)
    full, _ = await asyncio.to_thread(vacuum, database_url)
    await asyncio.to_thread(on_connection, database_url, empty)
    before, after = await asyncio.to_thread(vacuum, database_url)
    assert after < before
    assert full > 1_000_000 or not database_url.startswith("sqlite")
