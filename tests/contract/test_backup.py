"""Backups on all three databases: made while the server writes, checked, and put back on any."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from palpo.cli.main import main
from palpo.config.model import Config
from palpo.db.copies import archive as archives
from palpo.db.copies import rows
from palpo.db.copies.checkpoints import Checkpoint
from palpo.db.copies.damaged import Damaged
from palpo.db.copies.rows import Batch, Row
from palpo.db.copies.sources import DatabaseSource
from palpo.db.engine import Database
from palpo.db.migrations.connection import on_connection
from palpo.db.migrations.differences import differences
from palpo.db.migrations.steps import upgrade_from_nothing
from palpo.db.tables.leases import leases
from palpo.services.administration.backups.checking import verify
from palpo.services.administration.backups.contents import whole
from palpo.services.administration.backups.making import keep_newest, make
from palpo.services.administration.backups.orders import Origin
from palpo.services.administration.backups.restoring import put_back
from palpo.streams.clock import SystemClock
from tests.contract.test_database_copy import all_rows, back, fill_oddly
from tests.support.homeserver import Client, config, homeserver

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
NOW_MS = 1_796_000_000_000


def quiet(_done: str, _what: str, _number: int, _total: int) -> None:
    """Nobody is told."""


@dataclass(frozen=True)
class Place:
    """A server's database and data folder, and where its backups are."""

    url: str
    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def backups(self) -> Path:
        return self.folder / "backups"

    def config(self) -> Config:
        return config(self.data, database={"url": self.url})

    async def backup(self, told: Callable[..., None] = quiet, *, number: int = 0) -> Path:
        return await asyncio.to_thread(make, Origin.of(self.config()), self.backups, NOW_MS + number, told)

    def shell(self, *command: str) -> int:
        file = self.data / "palpo.toml"
        name = self.config().server_name
        file.write_text(
            f'server_name = "{name}"\ndata = "{self.data}"\n'
            f'[database]\nurl = "{self.url}"\n[log]\nlevel = "error"\n'
        )
        return main([*command, "--config", str(file)])


@pytest.fixture
def place(database_url: str, database: Database, tmp_path: Path) -> Place:
    """A new server's."""
    (tmp_path / "data").mkdir()
    return Place(database_url, tmp_path)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Place:
    """Another folder, with a SQLite file that is not there yet."""
    folder = tmp_path / "elsewhere"
    (folder / "data").mkdir(parents=True)
    return Place(f"sqlite:///{folder / 'palpo.db'}", folder)


async def test_a_backup_under_load_is_one_moment_and_can_be_put_back(place: Place, elsewhere: Place) -> None:
    async with homeserver(place.data, database={"url": place.url}) as server:
        alice = await server.register("alice")
        room = await alice.create_room(preset="public_chat", name="Elephants")
        upload = await alice.request(
            "POST", "/media/v3/upload", content=PNG, headers={"Content-Type": "image/png"}
        )
        sending = asyncio.ensure_future(send_on(alice, room))
        folder = await place.backup()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    await asyncio.to_thread(verify, folder, quiet)

    await asyncio.to_thread(put_back, elsewhere.config(), folder, quiet, replace=False)

    assert await asyncio.to_thread(on_connection, elsewhere.url, differences) == []
    async with homeserver(elsewhere.data, database={"url": elsewhere.url}) as server:
        again = back(alice, server)
        page = await again.get(f"/rooms/{room}/messages", params={"dir": "b", "limit": 1000})
        bodies = [e["content"]["body"] for e in page["chunk"] if e["type"] == "m.room.message"]
        assert bodies == [str(number) for number in reversed(range(len(bodies)))]
        path = upload["content_uri"].removeprefix("mxc://")
        found = await server.http.get(
            f"/_matrix/client/v1/media/download/{path}", headers={"Authorization": f"Bearer {alice.token}"}
        )
        assert found.content == PNG
        await again.send(room, "after it")


async def send_on(client: Client, room: str) -> None:
    number = 0
    while True:
        await client.send(room, str(number))
        number += 1


async def test_a_backup_has_every_row_whatever_is_in_it(place: Place, elsewhere: Place) -> None:
    async with homeserver(place.data, database={"url": place.url}) as server:
        await server.register("alice")
    await asyncio.to_thread(on_connection, place.url, fill_oddly)
    folder = await place.backup()

    await asyncio.to_thread(put_back, elsewhere.config(), folder, quiet, replace=False)

    expected = await asyncio.to_thread(on_connection, place.url, all_rows)
    found = await asyncio.to_thread(on_connection, elsewhere.url, all_rows)
    assert [name for name in expected if name != "leases" and found[name] != expected[name]] == []


async def test_a_backup_takes_the_place_of_a_database_where_it_is_told_to(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    async with homeserver(place.data, database={"url": place.url}) as server:
        alice = await server.register("alice")
        room = await alice.create_room(name="At the backup")
    folder = await place.backup()
    async with homeserver(place.data, database={"url": place.url}) as server:
        again = back(alice, server)
        await again.put(f"/rooms/{room}/state/m.room.name", {"name": "Lost"})
        since = (await again.get("/sync"))["next_batch"]

    assert await asyncio.to_thread(place.shell, "restore", str(folder)) == 1
    assert "--replace" in capsys.readouterr().err
    assert await asyncio.to_thread(place.shell, "restore", str(folder), "--replace") == 0

    async with homeserver(place.data, database={"url": place.url}) as server:
        again = back(alice, server)
        news = await again.get("/sync", params={"since": since, "timeout": 0})
        names = [e for e in news["rooms"]["join"][room]["state"]["events"] if e["type"] == "m.room.name"]
        assert names[0]["content"]["name"] == "At the backup"


async def test_a_restoration_that_was_killed_goes_on_where_it_was(
    place: Place, elsewhere: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "BATCH_ROWS", 10)
    async with homeserver(place.data, database={"url": place.url}) as server:
        await server.register("alice")
    await asyncio.to_thread(on_connection, place.url, fill_oddly)
    folder = await place.backup()
    copied: list[int] = []

    def stopping(done: str, table: str, number: int, _total: int) -> None:
        if (done, table) == ("copied", "account_data"):
            copied.append(number)
            if len(copied) == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await asyncio.to_thread(put_back, elsewhere.config(), folder, stopping, replace=False)
    await asyncio.to_thread(put_back, elsewhere.config(), folder, stopping, replace=False)

    assert copied == [10, 20, 30, 36]
    assert await asyncio.to_thread(on_connection, elsewhere.url, differences) == []


async def test_a_backup_that_was_killed_is_none_and_makes_room_for_the_next(place: Place) -> None:
    async with homeserver(place.data, database={"url": place.url}) as server:
        await server.register("alice")

    def stopping(_done: str, table: str, _number: int, _total: int) -> None:
        if table == "users":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await place.backup(stopping)
    assert whole(place.backups) == []
    made = [await place.backup(number=number) for number in range(1, 4)]

    assert sorted(place.backups.iterdir()) == made
    assert await asyncio.to_thread(keep_newest, place.backups, 2) == made[:1]
    assert whole(place.backups) == made[1:]


@pytest.mark.parametrize("what", ["row", "file", "media", "missing media", "manifest", "key"])
@pytest.mark.one_database
async def test_what_is_damaged_is_found_and_nothing_is_touched(
    place: Place, elsewhere: Place, backend: str, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if backend != "sqlite":
        pytest.skip("the files are the same")
    async with homeserver(place.data, database={"url": place.url}) as server:
        alice = await server.register("alice")
        await alice.request("POST", "/media/v3/upload", content=PNG, headers={"Content-Type": "image/png"})
    folder = await place.backup()
    damage(folder, what)

    with pytest.raises(Damaged):
        await asyncio.to_thread(verify, folder, quiet)
    assert await asyncio.to_thread(elsewhere.shell, "restore", str(folder)) == 1
    assert "Nothing was changed" in capsys.readouterr().err
    assert not (elsewhere.folder / "palpo.db").exists()


def damage(folder: Path, what: str) -> None:
    users = folder / "database" / "tables" / "users.gz"
    (blob,) = (path for path in (folder / "media").rglob("*") if path.is_file())
    if what == "row":
        packed = gzip.compress(gzip.decompress(users.read_bytes()).replace(b"alice", b"malic"), mtime=0)
        users.write_bytes(packed)
    elif what == "file":
        users.write_bytes(users.read_bytes()[:-9])
    elif what == "media":
        blob.unlink()
        blob.write_bytes(PNG + b"!")
    elif what == "missing media":
        blob.unlink()
    elif what == "manifest":
        (folder / "backup.json").unlink()
    else:
        (folder / "signing.key").write_text("no key")


async def test_a_server_that_runs_is_left_alone(
    place: Place, backend: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if backend == "sqlite":
        pytest.skip("its lock is the process's, and has its own tests")
    async with homeserver(place.data, database={"url": place.url}) as server:
        await server.register("alice")
    folder = await place.backup()
    running = asyncio.ensure_future(renew(place.url))

    replaced = await asyncio.to_thread(place.shell, "restore", str(folder), "--replace")
    copied = await asyncio.to_thread(
        place.shell, "database", "copy", "--to", f"sqlite:///{place.data}/new.db"
    )

    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert (replaced, copied) == (1, 1)
    assert capsys.readouterr().err.count("served by another process") == 2


async def renew(url: str) -> None:
    """Hold a lease, as a server does."""
    row = {"name": "a", "holder": "somebody", "fence": 1}
    while True:
        until = SystemClock().now_ms() + 60_000

        def hold(connection: sa.Connection, until: int = until) -> None:
            connection.execute(sa.delete(leases))
            connection.execute(leases.insert(), {**row, "expires_ts": until})

        await asyncio.to_thread(on_connection, url, hold)
        await asyncio.sleep(0.1)


@pytest.mark.one_database
async def test_another_server_has_no_use_for_it(
    place: Place, elsewhere: Place, backend: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if backend != "sqlite":
        pytest.skip("the database makes no difference")
    async with homeserver(place.data, database={"url": place.url}) as server:
        await server.register("alice")
    folder = await place.backup()
    file = elsewhere.data / "palpo.toml"
    file.write_text(f'server_name = "other.example"\ndata = "{elsewhere.data}"\n')

    assert await asyncio.to_thread(main, ["restore", str(folder), "--config", str(file)]) == 2

    assert "the database is" in capsys.readouterr().err


async def test_the_shell_makes_and_checks_backups(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    async with homeserver(place.data, database={"url": place.url}) as server:
        await server.register("alice")
        command = ("backup", "create", "--to", str(place.backups), "--keep", "1")
        assert await asyncio.to_thread(place.shell, *command) == 0
        assert await asyncio.to_thread(place.shell, *command) == 0
    (folder,) = whole(place.backups)
    capsys.readouterr()

    assert await asyncio.to_thread(main, ["backup", "verify", str(folder)]) == 0

    assert "is whole" in capsys.readouterr().out


OLD = "0020_inbound"
"""A revision before the newest."""


class OldSource(DatabaseSource):
    """A database as an older release sees it."""

    revision = OLD

    def __init__(self, connection: sa.Connection) -> None:
        super().__init__(connection)
        self._tables = sa.MetaData()
        self._tables.reflect(
            connection, only=lambda name, _: "full_text" not in name and name != "alembic_version"
        )

    def tables(self) -> list[str]:
        return list(self._tables.tables)

    def columns(self, table: str) -> list[str]:
        return [str(column.name) for column in self._tables.tables[table].columns]

    def count(self, table: str) -> int:
        return len(self._rows(table))

    def batches(self, table: str, reached: Checkpoint) -> Iterator[Batch]:
        if found := self._rows(table):
            yield Batch(rows=found, last_key=(len(found),))

    def _rows(self, table: str) -> list[Row]:
        return [tuple(row) for row in self._connection.execute(sa.select(self._tables.tables[table]))]


async def test_a_backup_of_an_older_release_is_brought_up_to_date(
    tmp_path: Path, elsewhere: Place, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = f"sqlite:///{tmp_path / 'old.db'}"

    def fill(connection: sa.Connection) -> None:
        upgrade_from_nothing(connection, OLD)
        connection.execute(sa.text("INSERT INTO consumers (name, position) VALUES ('m.old', 5)"))
        connection.execute(sa.text("INSERT INTO server_meta (name, value) VALUES ('database', 'old')"))

    await asyncio.to_thread(on_connection, old, fill)
    monkeypatch.setattr(archives, "DatabaseSource", OldSource)
    place = Place(old, tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "signing.key").write_text("ed25519 a nUJf02dhmQdVGzjFf1sOcAuuJ6a7u7e0rVPYJo0DQIA\n")
    folder = await place.backup()
    target = Place(empty_database_url, elsewhere.folder)

    await asyncio.to_thread(put_back, target.config(), folder, quiet, replace=False)

    assert await asyncio.to_thread(on_connection, target.url, differences) == []
    found = await asyncio.to_thread(on_connection, target.url, all_rows)
    assert found["consumers"] == ["('m.old', 5)"]
