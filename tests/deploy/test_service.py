"""``deploy/palpo.service``: what systemd thinks of it, and that it fits the program."""

from __future__ import annotations

import configparser
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from palpo.cli.main import main
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
    return tmp_path / "palpo.service"


def settings(section: str) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(UNIT.read_text())
    return dict(parser[section])


def test_systemd_has_nothing_to_say(installed: Path) -> None:
    command = [program("systemd-analyze"), "verify", str(installed)]
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
