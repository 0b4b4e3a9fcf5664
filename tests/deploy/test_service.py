"""``deploy/palpo.service`` and ``.socket``: what systemd thinks of them, and that they fit the program."""

from __future__ import annotations

import asyncio
import configparser
import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from palpo.cli import systemd
from palpo.cli.engines.inherited import Inherited
from palpo.cli.main import main
from palpo.config.errors import ConfigError
from palpo.config.loader import load
from tests.support.process import START_SECONDS, free_port
from tests.support.programs import program

DEPLOY = Path(__file__).parents[2] / "deploy"
UNIT = DEPLOY / "palpo.service"
MAX_EXPOSURE = 30
"""Tenths of what ``systemd-analyze security`` calls the exposure level: up to 4.0 it is OK."""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The unit, of a program and a user that there are on this machine."""
    text = UNIT.read_text()
    for before, after in (
        ("/opt/palpo/bin/palpo", "/bin/true"),
        ("User=palpo", "User=daemon"),
        ("Group=palpo", "Group=daemon"),
    ):
        assert text.count(before) == 1
        text = text.replace(before, after)
    (tmp_path / "palpo.service").write_text(text)
    (tmp_path / "palpo.socket").write_text((DEPLOY / "palpo.socket").read_text())
    return tmp_path / "palpo.service"


def settings(section: str) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(UNIT.read_text())
    return dict(parser[section])


def test_systemd_has_nothing_to_say(installed: Path) -> None:
    command = [program("systemd-analyze"), "verify", str(installed), str(installed.with_suffix(".socket"))]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_it_is_shut_in(installed: Path) -> None:
    analyze = program("systemd-analyze")
    command = [analyze, "security", "--offline=true", f"--threshold={MAX_EXPOSURE}", str(installed)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_user_is_made(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    conf = DEPLOY / "sysusers.conf"
    done = subprocess.run(
        [program("systemd-sysusers"), f"--root={tmp_path}", str(conf.resolve())],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert ":/var/lib/palpo:" in (tmp_path / "etc" / "passwd").read_text()


def test_it_starts_at_boot_after_what_it_needs() -> None:
    assert settings("Install") == {"WantedBy": "multi-user.target"}
    unit = settings("Unit")
    assert {"network-online.target", "postgresql.service"} <= set(unit["After"].split())
    assert unit["Wants"] == "network-online.target"


def test_a_configuration_of_no_use_is_not_tried_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service = settings("Service")
    assert service["Restart"] == "on-failure"
    command = shlex.split(service["ExecStart"])
    assert command[:2] == ["/opt/palpo/bin/palpo", "serve"]
    file = tmp_path / "palpo.toml"
    file.write_text('server_name = "example.org"\ndata = "data"\n[http]\nengin = "uvicorn"\n')
    command[command.index("/etc/palpo/palpo.toml")] = str(file)
    done = subprocess.run([sys.executable, "-m", "palpo.cli.main", *command[1:]], capture_output=True)
    assert service["RestartPreventExitStatus"].split() == [str(done.returncode)] == ["2"]
    assert main(["serve", "--config", str(tmp_path / "nothing.toml")]) == 2


def test_systemd_opens_the_sockets(tmp_path: Path) -> None:
    """By the program with which systemd's own sockets are tried out."""
    port, path = free_port(), tmp_path / "palpo.sock"
    file = tmp_path / "palpo.toml"
    file.write_text(f"""
server_name = "example.org"
data = "{tmp_path / "data"}"
[[listeners]]
bind = "127.0.0.1:{port}"
[[listeners]]
bind = "unix:{path}"
""")
    command = [program("systemd-socket-activate"), "-l", f"127.0.0.1:{port}", "-l", str(path)]
    command += ["--setenv=PYTHONPATH", sys.executable, "-m", "palpo.cli.main", "serve", "--config", str(file)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        # The first to connect waits until there is a server.
        retries = httpx.HTTPTransport(retries=5)
        with httpx.Client(transport=retries, timeout=START_SECONDS) as http:
            assert http.get(f"http://127.0.0.1:{port}/_matrix/client/versions").status_code == 200
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as http:
            assert http.get("http://localhost/_palpo/health").status_code == 200
    finally:
        process.terminate()
        assert process.wait(START_SECONDS) == 0, (tmp_path / "log").read_text()
    assert path.exists()


def test_a_socket_that_no_listener_has(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        inherited = Inherited([opened])
        port = opened.getsockname()[1]
        assert inherited.take(socket.AF_INET, ("127.0.0.1", port + 1)) is None
        with pytest.raises(ConfigError, match=rf"127\.0\.0\.1:{port}, which is no listener's"):
            inherited.finish()
        assert inherited.take(socket.AF_INET, ("127.0.0.1", port)) is opened
        inherited.finish()


def test_the_sockets_are_those_of_the_configuration() -> None:
    listeners = load(DEPLOY / "palpo.toml").listeners
    found = re.findall(r"^ListenStream=(.*)$", (DEPLOY / "palpo.socket").read_text(), re.MULTILINE)
    assert found == [item.bind for item in listeners]


async def test_the_watchdog_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(tmp_path / "notify"))
        told.settimeout(START_SECONDS)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "20000")
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
        async with systemd.watched():
            received = [await asyncio.to_thread(told.recv, 100) for _ in range(3)]
        assert received == [b"WATCHDOG=1"] * 3


async def test_another_process_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(tmp_path / "notify"))
        told.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "20000")
        monkeypatch.setenv("WATCHDOG_PID", "1")
        async with systemd.watched():
            await asyncio.sleep(0)
        with pytest.raises(BlockingIOError):
            told.recv(100)
