"""A name, a key, a folder and a database that are not one server's: refused in one line, and left alone."""

from __future__ import annotations

import io
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Connection

from palpo.cli.main import main
from palpo.db.migrations import HEAD
from palpo.db.migrations.connection import on_connection
from palpo.db.migrations.steps import upgrade_from_nothing
from palpo.db.migrations.upgrade import current
from palpo.db.tables.accounts import users
from tests.support import forked
from tests.support.process import ServerProcess

COMMANDS = [
    ["registration-token", "list"],
    ["user", "create", "carol", "--password-stdin"],
    ["media", "sweep"],
    ["restore"],
    ["migrate"],
]


class Shell:
    """``palpo`` with a configuration."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.data = folder / "data"
        self._capsys = capsys

    def run(self, *arguments: str, data: Path | None = None, **settings: str) -> tuple[int, str, str]:
        """Exit status, standard output and standard error."""
        values = {
            "server_name": "test.example",
            "data": str(data or self.data),
            "password.time_cost": "1",
            "password.memory_kib": "8",
            "log.level": "error",
            **settings,
        }
        arguments += tuple(part for item in values.items() for part in ("--set", "=".join(item)))
        if arguments[0] == "serve":  # Which takes over its process's log and signals.
            done = forked.run(*arguments)
            return done.returncode, done.stdout, done.stderr
        status = main(arguments)
        printed = self._capsys.readouterr()
        return status, printed.out, printed.err

    def is_refused(self, *arguments: str, said: str, status: int = 2, **more: str) -> None:
        """In one line, which has ``said`` in it."""
        data = more.pop("data", None)
        code, out, err = self.run(*arguments, data=None if data is None else Path(data), **more)
        assert (code, out) == (status, ""), err
        assert said in err
        assert err.startswith("palpo: ")
        assert err.count("\n") == 1


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A server that has a user."""
    monkeypatch.setattr("sys.stdin", io.StringIO("a long password\n" * 20))
    shell = Shell(tmp_path, capsys)
    assert shell.run("user", "create", "alice", "--password-stdin")[0] == 0
    return shell


@pytest.mark.parametrize("command", [*COMMANDS, ["serve"], ["signing-key", "new"]])
def test_another_server_name(shell: Shell, command: list[str]) -> None:
    shell.is_refused(*command, server_name="tset.example", said="the database is test.example's")


def test_another_server_name_on_a_database_that_does_not_say_whose_it_is(shell: Shell) -> None:
    with sqlite3.connect(shell.data / "palpo.db") as database:
        database.execute("DELETE FROM server_meta WHERE name != 'schema'")
    database.close()
    (shell.data / "server.json").unlink()

    shell.is_refused("serve", server_name="tset.example", said="the database is test.example's")
    assert shell.run("registration-token", "list")[0] == 0


@pytest.mark.parametrize("command", [["migrate"], ["serve"]])
def test_another_servers_database_is_not_migrated(tmp_path: Path, shell: Shell, command: list[str]) -> None:
    url = f"sqlite:///{tmp_path / 'older.db'}"
    on_connection(url, of_the_first_release)
    before = (tmp_path / "older.db").read_bytes()

    said = "the database is test.example's"
    shell.is_refused(*command, server_name="tset.example", said=said, **{"database.url": url})
    assert (tmp_path / "older.db").read_bytes() == before
    assert shell.run("migrate", data=tmp_path / "its", **{"database.url": url})[0] == 2, "it has no key"
    assert current(url) == HEAD


def of_the_first_release(connection: Connection) -> None:
    """A database with a user."""
    upgrade_from_nothing(connection, "0001_initial")
    flags = ("is_guest", "is_admin", "deactivated", "erased", "locked", "suspended")
    row = {"user_id": "@alice:test.example", "created_ts": 0, **dict.fromkeys(flags, False)}
    connection.execute(users.insert(), row)


def test_migrating_notes_nothing_of_a_new_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shell = Shell(tmp_path, capsys)

    assert shell.run("migrate") == (0, "The database is up to date\n", "")
    assert not (shell.data / "signing.key").exists()
    assert not (shell.data / "server.json").exists()


def test_a_name_may_change_as_long_as_there_is_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shell = Shell(tmp_path, capsys)

    assert shell.run("registration-token", "list", server_name="tset.example")[0] == 0
    assert shell.run("registration-token", "list")[0] == 0


@pytest.mark.parametrize("command", [*COMMANDS, ["serve"]])
def test_a_signing_key_that_is_missing(shell: Shell, command: list[str]) -> None:
    (shell.data / "signing.key").unlink()

    shell.is_refused(*command, said=f"{shell.data / 'signing.key'} is missing")
    assert not (shell.data / "signing.key").exists()


def test_a_lost_signing_key_is_replaced_on_demand(shell: Shell) -> None:
    (shell.data / "signing.key").unlink()

    status, out, _ = shell.run("signing-key", "new")

    assert status == 0
    assert out.startswith("ed25519:a_")
    assert shell.run("signing-key", "show")[1] == out.splitlines(keepends=True)[0]
    assert shell.run("registration-token", "list")[0] == 0


def test_another_signing_key_is_adopted_on_demand(shell: Shell) -> None:
    seed = "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXphYmNkZWY"
    (shell.data / "signing.key").write_text(f"ed25519 other {seed}\n")

    shell.is_refused("serve", said="its key is ed25519:other")
    assert shell.run("signing-key", "adopt")[0] == 0
    assert shell.run("registration-token", "list")[0] == 0


def test_a_new_signing_key_leaves_the_old_one_beside_it(shell: Shell) -> None:
    before = (shell.data / "signing.key").read_text()

    assert shell.run("signing-key", "new")[0] == 0

    kept = shell.data / f"signing.key.{before.split()[1]}"
    assert kept.read_text() == before
    assert (shell.data / "signing.key").read_text() != before


def test_a_data_folder_of_a_newer_release(shell: Shell) -> None:
    record = json.loads((shell.data / "server.json").read_text())
    newer = json.dumps({**record, "version": 2, "more": {"of": "it"}})
    (shell.data / "server.json").write_text(newer)

    shell.is_refused("serve", said="is of a newer release (version 2, this one knows 1)")
    assert (shell.data / "server.json").read_text() == newer


def test_a_data_folder_that_says_nothing_intelligible(shell: Shell) -> None:
    (shell.data / "server.json").write_text("{")

    shell.is_refused("serve", said=str(shell.data / "server.json"))


def test_two_servers_in_one_data_folder(shell: Shell, tmp_path: Path) -> None:
    """Each with a database of its own."""
    other = f"sqlite:///{tmp_path / 'other.db'}"
    elsewhere = {"database.url": other, "server_name": "other.example"}
    assert shell.run("user", "create", "bob", "--password-stdin", data=tmp_path / "its", **elsewhere)[0] == 0

    shell.is_refused("serve", said="is test.example's", **elsewhere)


def test_the_folder_of_another_database_of_the_same_name(shell: Shell, tmp_path: Path) -> None:
    other = {"database.url": f"sqlite:///{tmp_path / 'other.db'}"}
    its = tmp_path / "its"
    assert shell.run("user", "create", "bob", "--password-stdin", data=its, **other)[0] == 0
    (its / "signing.key").write_bytes((shell.data / "signing.key").read_bytes())
    assert shell.run("signing-key", "adopt", data=its, **other)[0] == 0

    shell.is_refused("serve", said="belongs to another database", **other)
    assert shell.run("restore", **other)[0] == 0
    assert shell.run("registration-token", "list", **other)[0] == 0


def test_a_second_server_on_one_sqlite_file(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as first:
        options = ["--set", "server_name=localhost", "--set", f"data={tmp_path / 'data'}"]
        second = forked.run("serve", *options)
        restore = forked.run("restore", *options)
        command = [sys.executable, "-m", "palpo.cli.main", "user", "create", "bob", "--password-stdin"]
        beside = subprocess.run(
            [*command, *options],
            input="a long password\n",
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert second.returncode == restore.returncode == 1
        assert "is served by another process" in second.stderr
        assert second.stderr.count("\n") == 1
        assert "is served by another process" in restore.stderr
        assert beside.returncode == 0, "commands run beside the server"
        assert httpx.get(f"{first.url}/_palpo/health").status_code == 200
    # It was killed, and has left its lock behind.
    with ServerProcess(tmp_path / "data", port=first.port):
        pass


def test_a_restoration_may_log_everyone_out(shell: Shell) -> None:
    with sqlite3.connect(shell.data / "palpo.db") as database:
        database.execute(
            "INSERT INTO access_tokens (token_hash, user_id, device_id, created_ts, used)"
            " VALUES (x'00', '@alice:test.example', 'D', 0, 1)"
        )
    database.close()

    assert shell.run("restore", "--log-out-everyone")[0] == 0
    with sqlite3.connect(shell.data / "palpo.db") as database:
        assert database.execute("SELECT count(*) FROM access_tokens").fetchone() == (0,)
    database.close()


def test_a_key_is_old_once_another_has_taken_its_place(shell: Shell) -> None:
    first, second = (shell.run("signing-key", action)[1].splitlines()[0] for action in ("show", "new"))
    assert old_keys(shell) == [first]
    (shell.data / "signing.key").write_text((shell.data / f"signing.key.{first.split()[0][8:]}").read_text())
    assert shell.run("signing-key", "adopt")[0] == 0
    assert old_keys(shell) == [second], "it is in use again"
    assert shell.run("signing-key", "adopt")[0] == 0
    assert old_keys(shell) == [second]


def old_keys(shell: Shell) -> list[str]:
    with sqlite3.connect(shell.data / "palpo.db") as database:
        query = "SELECT value FROM server_meta WHERE name = 'old_signing_keys'"
        (value,) = database.execute(query).fetchone()
    database.close()
    return list(json.loads(value))


def test_a_key_that_has_the_id_of_another(shell: Shell) -> None:
    key_id = shell.run("signing-key", "show")[1].split()[0]
    seed = "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXphYmNkZWY"
    (shell.data / "signing.key").write_text(f"ed25519 {key_id[8:]} {seed}\n")

    shell.is_refused("signing-key", "adopt", said=f"{key_id} was the ID of another key")
    assert shell.run("signing-key", "new")[0] == 0
    assert shell.run("registration-token", "list")[0] == 0
