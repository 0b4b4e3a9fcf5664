"""What an operator is told who asks for something that cannot be: one line, and an exit status."""

from __future__ import annotations

import errno
import io
import os
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from palpo.cli import serving, waiting
from palpo.cli.commands import start
from palpo.cli.main import main
from tests.support.certificates import make_certificate
from tests.support.process import ServerProcess, free_port


def palpo(data: Path, /, *arguments: str, **settings: str) -> int:
    values = {"server_name": "test.example", "data": str(data), **settings}
    options = [option for item in values.items() for option in ("--set", "=".join(item))]
    return main([*arguments, *options])


@pytest.mark.parametrize(
    ("settings", "status", "said"),
    [
        ({"server_name": "not a name"}, 2, "server_name"),
        ({"data": "/proc/nothing"}, 2, "data: /proc/nothing"),
        ({"database.url": "sqlite:////proc/nothing.db"}, 1, "no file can be made in /proc"),
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


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["usr", "list"], "palpo: error: there is no usr; did you mean user?"),
        (["user", "lcok", "alice"], "palpo user: error: there is no lcok; did you mean lock?"),
        (["xyzzy"], "'start', 'user')"),
    ],
)
def test_a_command_that_there_is_not(capsys: pytest.CaptureFixture[str], typed: list[str], said: str) -> None:
    with pytest.raises(SystemExit) as end:
        main(typed)
    assert end.value.code == 2
    assert capsys.readouterr().err.endswith(f"{said}\n")


def test_a_setting_without_a_value(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrate", "--set", "server_name"]) == 2
    assert "NAME=VALUE" in capsys.readouterr().err


def test_a_file_that_is_no_database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "palpo.db").write_bytes(b"something else " * 1000)
    assert palpo(tmp_path, "migrate") == 1
    assert "not a database" in capsys.readouterr().err


def test_a_database_of_somebody_else(tmp_path: Path) -> None:
    """It may be read only: a line says so, also to root without its powers over files."""
    assert palpo(tmp_path, "migrate") == 0
    (tmp_path / "palpo.db").chmod(0o444)
    powers = "-dac_override,-dac_read_search"
    drop = ["setpriv", "--bounding-set", powers, "--inh-caps", powers] if os.geteuid() == 0 else []
    serve = [sys.executable, "-m", "palpo.cli.main", "serve", "--set", "server_name=test.example"]
    ended = subprocess.run(
        [*drop, *serve, "--set", f"data={tmp_path}"], capture_output=True, text=True, timeout=300, check=False
    )
    url = f"sqlite:///{tmp_path / 'palpo.db'}"
    assert ended.stderr == f"palpo: database.url: {url}: it must be readable and writable, and is not\n"
    assert ended.returncode == 1


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


def test_a_later_start_with_another_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / start.FILE_NAME
    start.write_configuration(file, server_name="one.example", bind="127.0.0.1:0")
    before = file.read_text()
    assert main(["start", "--data", str(tmp_path), "--server-name", "two.example"]) == 2
    said = (
        f"palpo: --server-name two.example: {tmp_path} is one.example's, and a server never changes its "
        "name: leave the option out, or name a folder of its own by --data\n"
    )
    assert capsys.readouterr() == ("", said)
    assert list(tmp_path.iterdir()) == [file]
    assert file.read_text() == before


@pytest.mark.parametrize("options", [[], ["--server-name", "one.example"]])
def test_a_later_start_under_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    started: list[str] = []
    monkeypatch.setattr(serving, "run", lambda config, source: started.append(config.server_name))
    monkeypatch.setattr(serving, "ignore_hangups", lambda: None)
    for more in (["--server-name", "one.example"], options):
        assert main(["start", "--data", str(tmp_path), *more]) == 0
    assert started == ["one.example"] * 2


def test_the_environment_counts_for_a_start_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PALPO_CONFIG_LOG__LEVEL", "loud")
    assert main(["start", "--data", str(tmp_path)]) == 2
    assert "PALPO_CONFIG_LOG__LEVEL" in capsys.readouterr().err


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


FILE = """\
server_name = "test.example"
data = "{data}"
[[listeners]]
bind = "127.0.0.1:0"
"""
WRONG = [
    ("[http]\nengin = 'uvicorn'", "http.engin: there is no such setting; did you mean http.engine?"),
    ("[log]\nlevel = 'loud'", "log.level: 'loud' is none of debug, info, warning, error"),
    ("[log]\nlevel = 3", "log.level: it has to be text, not a whole number"),
    ("[http]\nshutdown_seconds = -1", "http.shutdown_seconds: it has to be at least 0"),
    ("[http]\nshutdown_seconds = 'long'", "http.shutdown_seconds: it has to be a number, not text"),
    ("[email]\nport = 99999", "email.port: it has to be at most 65535"),
    ("[rate_limits.login]\nburst = 3", "rate_limits.login.per_second: it has to be set"),
    (
        "[[listeners]]\nbimd = '127.0.0.1:1'",
        "listeners 2: bimd: there is no such setting; did you mean listeners.bind?",
    ),
    ("[[listeners]]\nserves = ['client']", "listeners 2: bind: it has to be set"),
    (
        "[[listeners]]\nbind = '127.0.0.1:1'\ntls_key = 3",
        "listeners 2: tls_key: it has to be the path of a file or folder, not a whole number",
    ),
    (
        "[database]\nurl = 'sqlite://palpo.db'",
        "database.url: it is sqlite:///PATH, postgresql://… or mysql://…",
    ),
    (
        "[registration]\ntoken = 'a secret'",
        "registration.token: this value cannot be used; wanted: A registration token that always works, "
        "at most 64 of A-Z, a-z, 0-9 and `._~-`; empty: none.",
    ),
    ("[colours]\nsky = 1", "colours: there is no such setting"),
]


@pytest.mark.parametrize(("text", "said"), WRONG)
@pytest.mark.parametrize("command", [("config", "check"), ("serve",), ("user", "list")])
def test_a_wrong_setting_is_named_with_its_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...], text: str, said: str
) -> None:
    file = tmp_path / "palpo.toml"
    file.write_text(FILE.format(data=tmp_path / "data") + text)
    assert main([*command, "--config", str(file)]) == 2
    assert capsys.readouterr() == ("", f"palpo: {file}: {said}\n")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("LOG__LEVEL", "loud", "in the environment: 'loud' is none of debug, info, warning, error"),
        (
            "LOG_LEVEL",
            "info",
            "in the environment: there is no such setting; did you mean PALPO_CONFIG_LOG__LEVEL?",
        ),
        ("ADMINS", "[alice", 'in the environment: it is no list, such as ["a", "b"]'),
        ("HTTP", "uvicorn", "in the environment: it has to be a table, not text"),
    ],
)
def test_a_wrong_variable_is_named(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
    said: str,
) -> None:
    monkeypatch.setenv(f"PALPO_CONFIG_{name}", value)
    assert palpo(tmp_path, "config", "check") == 2
    assert capsys.readouterr().err == f"palpo: PALPO_CONFIG_{name} {said}\n"


def test_certificates_of_no_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    certificate, key = make_certificate(tmp_path / "one", "one.example")
    other = make_certificate(tmp_path / "two", "two.example")[1]
    encrypted = tmp_path / "encrypted.pem"
    private = load_pem_private_key(key.read_bytes(), None)
    secret = BestAvailableEncryption(b"passphrase")
    encrypted.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret))
    broken = tmp_path / "broken.pem"
    broken.write_text("-----BEGIN PRIVATE KEY-----\nbm90aGluZw==\n-----END PRIVATE KEY-----\n")
    for files, said in (
        ((certificate, other), f"tls_key: {other} is not the key of {certificate}"),
        ((certificate, encrypted), f"tls_key: {encrypted} is encrypted"),
        ((key, key), f"tls_certificate: there is no certificate in {key}"),
        ((certificate, certificate), f"tls_key: there is no private key in {certificate}"),
        ((certificate, broken), f"{certificate} and {broken} cannot be used for TLS"),
        ((certificate, tmp_path / "nothing.pem"), f"there is no file {tmp_path / 'nothing.pem'}"),
    ):
        file = tmp_path / "palpo.toml"
        tls = f"tls_certificate = '{files[0]}'\ntls_key = '{files[1]}'\n"
        file.write_text(FILE.format(data=tmp_path / "data") + tls)
        for command in (("config", "check"), ("serve",)):
            assert main([*command, "--config", str(file)]) == 2
            error = capsys.readouterr().err
            assert error.startswith("palpo: ")
            assert said in error
            assert error.count("\n") == 1


def test_a_key_that_may_not_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = make_certificate(tmp_path, "one.example")
    file = tmp_path / "palpo.toml"
    tls = f"tls_certificate = '{certificate}'\ntls_key = '{key}'\n"
    file.write_text(FILE.format(data=tmp_path / "data") + tls)
    read = Path.read_text

    def refuse(path: Path, *arguments: str) -> str:
        # Root, as which tests may run, is never refused.
        if path == key:
            raise PermissionError(errno.EACCES, "Permission denied")
        return read(path, *arguments)

    monkeypatch.setattr(Path, "read_text", refuse)
    assert main(["config", "check", "--config", str(file)]) == 2
    said = f"palpo: listeners: tls_key: {key} cannot be read: Permission denied\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("registration-token", "create", "--days", "nan"), "--days"),
        (("registration-token", "create", "--days", "1e300"), "--days"),
        (("registration-token", "create", "--days", "-1"), "--days"),
        (("registration-token", "create", "--uses", "0"), "accounts"),
        (("registration-token", "create", "--uses", "9" * 30), "accounts"),
        (("registration-token", "create", "--token", "a b"), "A-Z"),
        (("registration-token", "revoke", "nothing"), "no"),
        (("user", "create", "a:b", "--password-stdin"), "a-z"),
        (("user", "create", "12", "--password-stdin"), "digits"),
    ],
)
def test_arguments_of_no_use(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("a long password\n"))
    assert palpo(tmp_path, *arguments) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith("palpo: ")
    assert said in printed.err
    assert printed.err.count("\n") == 1


def test_what_is_made_is_its_owners_only(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data", options=("--open-registration",), cold=True) as server:
        body = {"username": "alice", "password": "a long password", "auth": {"type": "m.login.dummy"}}
        token = httpx.post(f"{server.url}/_matrix/client/v3/register", json=body).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        assert (
            httpx.post(f"{server.url}/_matrix/media/v3/upload", headers=headers, content=b"x").status_code
            == 200
        )
        found = {path: stat.S_IMODE(path.stat().st_mode) for path in server.data.rglob("*")}
        del found[server.data / "server.log"]
    assert {path for path in found if path.name.startswith("palpo.db")} > {server.data / "palpo.db"}
    assert {mode for path, mode in found.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in found.items() if not path.is_dir()} == {0o600}


def test_a_database_that_is_late_is_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused at first; then there is a server, which says that it does not know the database."""
    port = free_port()
    url = f"postgresql://palpo@127.0.0.1:{port}/palpo"
    options = {"database.url": url, "database.wait_seconds": "30"}
    refused, answered, done = threading.Event(), threading.Event(), threading.Event()
    log = waiting.log

    def warning(event: str, **more: object) -> None:
        log.warning(event, **more)
        refused.set()

    monkeypatch.setattr(waiting, "log", SimpleNamespace(warning=warning))
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + (30 if answered.is_set() else 0))
    monkeypatch.setattr(waiting, "time", clock)

    def answer() -> None:
        assert refused.wait(30)
        # PostgreSQL's protocol: an error of code 3D000, whatever is asked.
        with socket.create_server(("127.0.0.1", port)) as server:
            server.settimeout(0.1)
            while not done.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                with connection:
                    first = connection.recv(65536)
                    if first[4:8] == b"\x04\xd2\x16\x2f":
                        connection.sendall(b"N")
                        first = connection.recv(65536)
                    # What is said now is what is found when the time is over.
                    answered.set()
                    fields = b"SFATAL\0C3D000\0Mno such database\0\0"
                    connection.sendall(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)

    thread = threading.Thread(target=answer)
    thread.start()
    assert palpo(tmp_path, "serve", **options) == 1
    done.set()
    thread.join()
    error = capsys.readouterr().err
    assert "waiting_for_database" in error
    assert error.endswith(f"palpo: database.url: {url}: no such database\n")
    assert palpo(tmp_path, "serve", **{**options, "database.wait_seconds": "0.1"}) == 1
    assert capsys.readouterr().err.endswith(f"palpo: database.url: {url}: Connection refused\n")
