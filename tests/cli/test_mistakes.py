"""What an operator is told who asks for something that cannot be: one line, and an exit status."""

from __future__ import annotations

import socket
import sqlite3
import stat
from pathlib import Path

import pytest

from palpo.cli.main import main
from tests.support.process import ServerProcess


def palpo(data: Path, /, *arguments: str, **settings: str) -> int:
    values = {"server_name": "test.example", "data": str(data), **settings}
    options = [option for item in values.items() for option in ("--set", "=".join(item))]
    return main([*arguments, *options])


@pytest.mark.parametrize(
    ("settings", "status", "said"),
    [
        ({"server_name": "not a name"}, 2, "server_name"),
        ({"data": "/proc/nothing"}, 2, "data: /proc/nothing"),
        ({"database.url": "sqlite:////proc/nothing.db"}, 1, "unable to open"),
        ({"database.url": "postgresql://127.0.0.1:1/palpo"}, 1, "127.0.0.1"),
        ({"database.url": "mysql://127.0.0.1:1/palpo"}, 1, "127.0.0.1"),
    ],
)
@pytest.mark.parametrize("command", [("migrate",), ("registration-token", "list")])
def test_settings_of_no_use(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: tuple[str, ...],
    settings: dict[str, str],
    status: int,
    said: str,
) -> None:
    assert palpo(tmp_path, *command, **settings) == status
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.err.startswith("palpo: ")
    assert printed.err.count("\n") == 1
    assert not printed.out


def test_a_redis_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert palpo(tmp_path, "registration-token", "list", redis_url="redis://127.0.0.1:1") == 1
    assert capsys.readouterr().err.startswith("palpo: Redis: ")


def test_a_setting_without_a_value(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrate", "--set", "server_name"]) == 2
    assert "NAME=VALUE" in capsys.readouterr().err


def test_a_file_that_is_no_database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "palpo.db").write_bytes(b"something else " * 1000)
    assert palpo(tmp_path, "migrate") == 1
    assert "not a database" in capsys.readouterr().err


def test_a_database_of_a_later_release(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert palpo(tmp_path, "migrate") == 0
    with sqlite3.connect(tmp_path / "palpo.db") as database:
        database.execute("UPDATE alembic_version SET version_num = 'later'")
    database.close()
    assert palpo(tmp_path, "registration-token", "list") == 1
    assert "later" in capsys.readouterr().err


def test_actions_make_what_is_not_there_yet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert palpo(tmp_path / "new", "registration-token", "list") == 0
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert capsys.readouterr().out == "There are no tokens\n"


def test_a_first_start_with_a_name_of_no_use_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for options in (["--server-name", "not a name"], ["--server-name", 'a"b'], ["--bind", "8008"]):
        assert main(["start", "--data", str(tmp_path / "data"), *options]) == 2
        assert capsys.readouterr().err.startswith("palpo: ")
    assert not (tmp_path / "data").exists()


def test_the_environment_counts_for_a_start_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PALPO_CONFIG_LOG__LEVEL", "loud")
    assert main(["start", "--data", str(tmp_path)]) == 2
    assert "log.level" in capsys.readouterr().err


@pytest.mark.parametrize("engine", ["hypercorn", "uvicorn"])
def test_a_port_that_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    monkeypatch.setenv("PALPO_CONFIG_HTTP__ENGINE", engine)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = ServerProcess(tmp_path, port=taken.getsockname()[1])
        with pytest.raises(AssertionError, match="in use"):
            server.start()
    assert "Traceback" not in server.log
