"""``synadm``, a command line that was made for Synapse, on a server of ours."""

from __future__ import annotations

import json
import logging
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner
from synadm.cli import root

from tests.interop.admin_api.expected import missing
from tests.interop.admin_api.filled import Filled, filled
from tests.interop.admin_api.synadm_commands import COMMANDS, Command

pytestmark = pytest.mark.one_database

WAIT_S = 60.0
PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class Said:
    """What a command ended with, and the last JSON that it printed (its text, where there was none)."""

    status: int
    answer: Any
    text: str


class Synadm:
    """The command, as an administrator has set it up."""

    def __init__(self, folder: Path, server: Filled) -> None:
        self._known = dict(server.known)
        self._file = folder / "synadm.yaml"
        self._home = folder
        settings = {
            "user": server.known["admin"],
            "token": server.tokens["admin"],
            "protocol": "http",
            "base_url": server.palpo.url,
            "admin_path": "/_synapse/admin",
            "matrix_path": "/_matrix",
            "format": "json",
            "timeout": 60,
            "homeserver": server.palpo.name,
            "server_discovery": "well-known",
            "ssl_verify": True,
        }
        self._file.write_text(yaml.safe_dump(settings))

    def run(self, command: Command) -> Said:
        """Run it, again until it says what is waited for."""
        deadline = time.monotonic() + WAIT_S
        line = command.line.format(**self._known)
        while True:
            said = self._run(line)
            if all(_member(said.answer, name) == value for name, value in command.until.items()):
                break
            assert time.monotonic() < deadline, (line, said)
            time.sleep(PAUSE_S)
        for name, member in command.keeps.items():
            self._known[name] = str(_member(said.answer, member))
        return said

    def _run(self, line: str) -> Said:
        arguments = ["--no-confirm", "--config-file", str(self._file), *shlex.split(line)]
        try:
            found = CliRunner().invoke(root, arguments, env={"HOME": str(self._home)}, catch_exceptions=False)
        finally:
            _close_logs()
        return Said(found.exit_code, _last_json(found.stdout), found.output)

    def filled_in(self, value: Any) -> Any:
        """An expected answer with the world's values in it."""
        if isinstance(value, str):
            return value.format(**self._known)
        if isinstance(value, dict):
            return {self.filled_in(key): self.filled_in(item) for key, item in value.items()}
        return [self.filled_in(item) for item in value] if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class Ran:
    """All that was said, and what was to be said, by the commands' lines."""

    said: dict[str, Said]
    expected: dict[str, Any]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    folder = tmp_path_factory.mktemp("synadm")
    with filled(folder) as server:
        synadm = Synadm(folder, server)
        said, expected = {}, {}
        for command in COMMANDS:
            try:
                said[command.line] = synadm.run(command)
                expected[command.line] = synadm.filled_in(command.answer)
            except Exception as error:  # noqa: BLE001 - the command's own test says it
                said[command.line] = Said(-1, None, repr(error))
        yield Ran(said, expected)


@pytest.mark.parametrize("command", COMMANDS, ids=[command.line for command in COMMANDS])
def test_a_command(ran: Ran, command: Command) -> None:
    said = ran.said[command.line]
    assert said.status == 0, said
    assert not list(missing(said.answer, ran.expected[command.line])), said


def test_each_command_is_run() -> None:
    ours = {"config"}  # It writes the file that is written here.
    names = set(_names(root, ())) - ours
    assert {name for name in names if not any(item.line.startswith(name) for item in COMMANDS)} == set()


def _names(command: click.Command, path: tuple[str, ...]) -> Iterator[str]:
    if isinstance(command, click.Group):
        for name, item in command.commands.items():
            yield from _names(item, (*path, name))
    else:
        yield " ".join(path)


def _member(answer: Any, name: str) -> Any:
    return answer.get(name) if isinstance(answer, dict) else None


def _last_json(text: str) -> Any:
    """The last JSON in what was printed between lines for people; else the text."""
    found: Any = text.strip()
    place = 0
    while place < len(text):
        if text[place] in "{[" and (place == 0 or text[place - 1] == "\n"):
            found, place = json.JSONDecoder().raw_decode(text, place)
        else:
            place += 1
    return found


def _close_logs() -> None:
    """Each run adds handlers, one of them to an output that has ended with it."""
    log = logging.getLogger("synadm")
    for handler in [*log.handlers]:
        log.removeHandler(handler)
        handler.close()
