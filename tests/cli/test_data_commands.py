"""Commands about what is kept: retention, the size of the database, backups, copies."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import uvloop

from palpo.cli.main import main
from palpo.db.migrations import HEAD
from palpo.services.administration.redactions import LIMIT
from palpo.services.history.retention import DAY_MS
from tests.support.homeserver import homeserver

pytestmark = pytest.mark.sqlite
ALICE = "@alice:test.example"


class Shell:
    """Commands on a data folder."""

    def __init__(self, data: Path, capsys: pytest.CaptureFixture[str], *, url: str | None = None) -> None:
        self._settings = ["--set", "server_name=test.example", "--set", f"data={data}"]
        if url is not None:
            self._settings += ["--set", f"database.url={url}"]
        self._capsys = capsys

    def said(self, *command: str, status: int = 0) -> str:
        """Run one; what it prints."""
        self._capsys.readouterr()
        assert main([*command, *self._settings]) == status
        printed = self._capsys.readouterr()
        return (printed.err if status else printed.out).strip()

    def told(self, *command: str) -> Any:
        """Run one; what it tells a program."""
        return json.loads(self.said(*command, "--json"))


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Of a server with an administrator, and a room of hers that is forgetful."""
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse battery\n"))

    async def fill() -> None:
        policy = {"type": "m.room.retention", "state_key": "", "content": {"max_lifetime": 7 * DAY_MS}}
        async with homeserver(tmp_path) as server:
            alice, bob = await server.register("alice"), await server.register("bob")
            room_id = await alice.create_room(preset="public_chat", initial_state=[policy])
            await bob.post(f"/join/{room_id}", {})
            for number in range(100):
                await bob.send(room_id, f"words {number} " + "w" * 5000)
            await server.services.accounts.accounts.set_admin(alice.user_id, True)  # type: ignore[arg-type]

    uvloop.run(fill())
    return Shell(tmp_path, capsys)


def test_retention(shell: Shell) -> None:
    assert "retention.enabled" in shell.said("retention", "show", status=1)
    enabled = ["--set", "retention.enabled=true"]
    (kept,) = shell.told("retention", "show", *enabled)
    assert kept["has_older"]
    assert "has older ones" in shell.said("retention", "show", *enabled)
    (job,) = shell.told("retention", "run", *enabled)
    assert (job["kind"], job["target"], job["state"]) == ("purge_history", kept["room_id"], "scheduled")
    assert shell.said("retention", "run", *enabled) == "Nothing is too old"


def test_what_a_user_has_sent_is_redacted(shell: Shell) -> None:
    assert "no administrator" in shell.said("user", "redact", "bob", "--by", "bob", status=1)
    job = shell.told("user", "redact", "bob", "--by", "alice", "--reason", "spam", "--since", "1d")
    assert (job["kind"], job["target"], job["requested_by"]) == (
        "redact_user_events",
        "@bob:test.example",
        ALICE,
    )
    elsewhere = shell.told("user", "redact", "@eve:b.example", "--by", ALICE, "--room", "!a:b.example")
    assert elsewhere["target"] == "@eve:b.example"
    assert LIMIT == 1000, "as the help says"


def test_an_administrator_acts_as_somebody(shell: Shell, tmp_path: Path) -> None:
    told = shell.told("user", "login-as", "bob", "--by", "alice", "--for", "2d")

    async def who() -> str:
        async with homeserver(tmp_path) as server:
            client = server.client()
            client.token = told["access_token"]
            user_id: str = (await client.get("/account/whoami"))["user_id"]
            return user_id

    assert uvloop.run(who()) == told["user_id"] == "@bob:test.example"
    assert "no administrator" in shell.said("user", "login-as", "alice", "--by", "bob", status=1)
    log = shell.said("audit-log", "list", "--json")
    assert "user login-as" in log
    assert told["access_token"] not in log


def test_states_that_nothing_refers_to_are_looked_for(shell: Shell) -> None:
    assert shell.told("db", "sweep")["kind"] == "sweep_state_nodes"
    assert "under way" in shell.said("db", "sweep", status=1)


def test_space_is_given_back(shell: Shell, tmp_path: Path) -> None:
    import sqlite3

    file = tmp_path / "palpo.db"
    before = shell.told("db", "vacuum")["after"]
    with sqlite3.connect(file) as database:
        database.execute("DELETE FROM events WHERE type = 'm.room.message'")
    database.close()
    told = shell.told("db", "vacuum")
    assert told["after"] == file.stat().st_size < told["before"]
    assert told["after"] < before - 100 * 5000
    assert "takes" in shell.said("db", "vacuum")
    assert shell.told("audit-log", "list")[0]["action"] == "db vacuum"


def test_a_server_that_is_told_of_everything_is_not_reset(shell: Shell) -> None:
    assert "shares no room" in shell.said("federation", "reset", "b.example", status=1)


def test_programs_are_told_of_backups_and_copies(
    shell: Shell, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shell.told("migrate") == {"revision": HEAD} == shell.told("db", "migrate")
    backups = tmp_path / "backups"
    made = shell.told("backup", "create", "--to", str(backups))
    assert made["removed"] == []
    again = shell.told("backup", "create", "--to", str(backups), "--keep", "1")
    assert again["removed"] == [made["folder"]]
    shell_of_none = Shell(tmp_path, capsys)
    capsys.readouterr()
    assert main(["backup", "verify", again["folder"], "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["server_name"] == "test.example"
    restored = shell_of_none.told("restore", again["folder"], "--replace")
    assert restored["rows"] == found["rows"]
    assert restored["position"] > 0
    other = f"sqlite:///{tmp_path / 'other.db'}"
    copied = shell.told("database", "copy", "--to", other)
    assert copied["rows"] > 100
    assert copied["to"] == other
    actions = [entry["action"] for entry in shell.told("audit-log", "list")]
    assert actions[:2] == ["database copy", "restore"]
