"""Commands change what they are asked to change, and do nothing of what a server does by itself."""

import asyncio
import io
import sqlite3
from pathlib import Path

import pytest

from palpo.app import application, built
from palpo.cli.main import main
from tests.support.homeserver import config

REGISTRATION = """
id: bridge
url: http://127.0.0.1:1
as_token: a-secret-of-the-bridge
hs_token: a-secret-of-the-server
sender_localpart: bridge
namespaces: {users: [{exclusive: true, regex: "@bridged_.*"}]}
"""
COMMANDS = [
    ["user", "create", "bob", "--password-stdin"],
    ["user", "password", "alice", "--password-stdin"],
    ["user", "admin", "alice"],
    ["user", "admin", "alice", "--revoke"],
    ["registration-token", "create", "--token", "come"],
    ["registration-token", "list"],
    ["registration-token", "revoke", "come"],
    ["media", "sweep"],
]
SERVERS_OWN = ("leases", "consumers")


@pytest.fixture
def settings(tmp_path: Path) -> list[str]:
    """Those of a server that would have much to do: a bridge, notices."""
    (tmp_path / "bridge.yaml").write_text(REGISTRATION)
    (tmp_path / "palpo.toml").write_text(
        f'server_name = "test.example"\ndata = "{tmp_path}"\nappservices = ["{tmp_path}/bridge.yaml"]\n'
        "[server_notices]\nenabled = true\n[password]\ntime_cost = 1\nmemory_kib = 8\n"
    )
    return ["--config", str(tmp_path / "palpo.toml")]


def rows(data: Path, table: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(data / "palpo.db") as connection:
        return sorted(connection.execute(f"SELECT * FROM {table}"))


def test_no_command_takes_a_lease_or_makes_an_account_of_the_servers(
    tmp_path: Path, settings: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["migrate", *settings]) == 0
    monkeypatch.setattr("sys.stdin", io.StringIO("a long password\n" * 10))
    assert main(["user", "create", "alice", "--password-stdin", *settings]) == 0
    for command in COMMANDS:
        assert main([*command, *settings]) == 0, capsys.readouterr()
        assert [rows(tmp_path, table) for table in SERVERS_OWN] == [[], []], command
    users = {row[0] for row in rows(tmp_path, "users")}
    assert users == {"@alice:test.example", "@bob:test.example"}


async def test_what_is_built_is_not_running(tmp_path: Path, settings: list[str]) -> None:
    assert await asyncio.to_thread(main, ["migrate", *settings]) == 0
    configuration = config(tmp_path, appservices=[str(tmp_path / "bridge.yaml")])

    async with built(configuration):
        quiet = {task.get_name() for task in asyncio.all_tasks()}
    async with application(configuration):
        running = {task.get_name() for task in asyncio.all_tasks()}
    assert {"pushers", "media", "search", "presence", "typing", "delayed-events"} <= running - quiet
    assert quiet - {asyncio.current_task().get_name()} == {"db-writer", "wakeups-polling", "room-writer"}  # type: ignore[union-attr]
