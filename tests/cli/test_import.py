"""``palpo import synapse``: what is said before anything is imported."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
import uvloop

from palpo.app import application, opened
from palpo.cli.main import main
from palpo.config.errors import ConfigError
from palpo.config.sources import ConfigSource
from palpo.storage import synapse_import
from palpo.storage.synapse_import import Checkpoint
from tests.support.homeserver import homeserver

pytestmark = pytest.mark.sqlite
KEY = "ed25519 a_test 8m3E7V+h2EoHCqs+37NUGnOOhWfwHqYrK8ggwzp2u+k\n"


@pytest.fixture
def synapse(tmp_path: Path) -> Path:
    """The configuration of a Synapse whose database has a version and a user, and nothing more."""
    folder = tmp_path / "synapse"
    folder.mkdir()
    (folder / "media").mkdir()
    (folder / "signing.key").write_text(KEY)
    database(folder / "homeserver.db", version=94, user="@alice:test.example")
    values = {
        "server_name": "test.example",
        "database": {"name": "sqlite3", "args": {"database": "homeserver.db"}},
        "media_store_path": "media",
        "signing_key_path": "signing.key",
    }
    file = folder / "homeserver.yaml"
    file.write_text(json.dumps(values))
    return file


def database(path: Path, *, version: int, user: str, partial: str | None = None) -> None:
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE schema_version (version INTEGER)")
        connection.execute("CREATE TABLE users (name TEXT)")
        connection.execute("CREATE TABLE partial_state_rooms (room_id TEXT)")
        if partial is not None:
            connection.execute("INSERT INTO partial_state_rooms VALUES (?)", (partial,))
        connection.execute("INSERT INTO schema_version VALUES (?)", (version,))
        connection.execute("INSERT INTO users VALUES (?)", (user,))
    connection.close()


def refused(
    data: Path, capsys: pytest.CaptureFixture[str], *arguments: str, name: str = "test.example"
) -> str:
    """Why it is not done."""
    settings = ("--set", f"server_name={name}", "--set", f"data={data}")
    assert main(["import", "synapse", *arguments, *settings]) in (1, 2)
    return capsys.readouterr().err.strip()


def test_what_is_missing_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], synapse: Path) -> None:
    data, url = tmp_path / "data", f"sqlite:///{synapse.parent / 'homeserver.db'}"
    assert "homeserver.yaml" in refused(data, capsys)
    assert "--media" in refused(data, capsys, "--database", url)
    assert "--signing-key" in refused(data, capsys, "--database", url, "--no-media")
    assert "no folder" in refused(data, capsys, str(synapse), "--media", str(tmp_path / "none"))


def test_another_server_is_not_imported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], synapse: Path
) -> None:
    assert "test.example's" in refused(tmp_path / "data", capsys, str(synapse), name="other.example")
    database(synapse.parent / "homeserver.db", version=94, user="@alice:other.example")
    assert "no user of test.example" in refused(tmp_path / "data", capsys, str(synapse))


def test_an_old_schema_is_not_imported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], synapse: Path
) -> None:
    database(synapse.parent / "homeserver.db", version=20, user="@alice:test.example")
    assert "version 20" in refused(tmp_path / "data", capsys, str(synapse))


def test_rooms_in_part_are_not_imported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], synapse: Path
) -> None:
    path = synapse.parent / "homeserver.db"
    database(path, version=94, user="@alice:test.example", partial="!room:other.example")
    assert "members of 1 rooms" in refused(tmp_path / "data", capsys, str(synapse))


def test_a_database_with_users_is_not_imported_into(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], synapse: Path
) -> None:
    async def fill() -> None:
        (tmp_path / "data").mkdir()
        async with homeserver(tmp_path / "data") as server:
            await server.register("bob")

    uvloop.run(fill())
    key = (tmp_path / "data" / "signing.key").read_text()
    assert "not the key" in refused(tmp_path / "data", capsys, str(synapse))
    (synapse.parent / "signing.key").write_text(key)
    assert "there are users in it already" in refused(tmp_path / "data", capsys, str(synapse))


def test_nobody_is_served_before_all_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], synapse: Path
) -> None:
    data = tmp_path / "data"
    (synapse.parent / "homeserver.db").unlink()
    assert "no file" in refused(data, capsys, str(synapse))
    assert (data / "signing.key").read_text() == KEY
    overrides = {"server_name": "test.example", "data": str(data)}
    config = ConfigSource((), {}, overrides).load()

    async def start() -> None:
        async with opened(config) as db:
            await db.write(lambda tx: synapse_import.put(tx, synapse_import.WHOLE, Checkpoint(), 0))
        async with application(config):
            raise AssertionError("it has started")

    with pytest.raises(ConfigError, match="has not come to its end"):
        uvloop.run(start())
    assert "go on with it first" in refused(data, capsys, str(synapse), "--verify-only")
