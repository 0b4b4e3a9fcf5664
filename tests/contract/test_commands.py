"""What the shell changes beside a running server, the server goes by at once, on every database."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from palpo.cli.main import main
from palpo.db.connect import create_engine
from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.storage import accounts
from tests.contract.conftest import empty
from tests.support.process import ServerProcess, free_port

SECONDS = 10.0
"""How long it is waited for what should take one or two."""
PASSWORD = "correct horse battery"
NEW_PASSWORD = "staple battery horse"
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass
class Shell:
    """A running server, the shell beside it, and what has been made there."""

    server: ServerProcess
    database_url: str
    patch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    made: int = 0

    def palpo(self, *command: str, line: str = NEW_PASSWORD) -> str:
        """Run a command; what it prints."""
        self.capsys.readouterr()
        self.patch.setattr("sys.stdin", io.StringIO(f"{line}\n"))
        status = main([*command, "--config", str(self.server.data / "palpo.toml")])
        printed = self.capsys.readouterr()
        assert status == 0, printed.err
        return printed.out.strip()

    def call(self, method: str, path: str, token: str = "", **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = f"{self.server.url}/_matrix/{path}"
        return httpx.request(method, url, headers=headers, timeout=30, **more)

    def user(self) -> tuple[str, str]:
        """A new account: its name and a token that the server has in memory."""
        self.made += 1
        name = f"user{self.made}"
        body = {"username": name, "password": PASSWORD, "auth": {"type": "m.login.dummy"}}
        token = self.call("POST", "client/v3/register", json=body).json()["access_token"]
        assert self.knows(token)
        return name, str(token)

    def knows(self, token: str) -> bool:
        """Whether the token is good."""
        return self.call("GET", "client/v3/account/whoami", token).status_code == 200

    def lets_in(self, name: str, password: str) -> bool:
        """Whether the password is good."""
        body = {"type": "m.login.password", "user": name, "password": password}
        return self.call("POST", "client/v3/login", json=body).status_code == 200

    def obeys(self, token: str) -> bool:
        """Whether the server takes the token's user for an administrator."""
        path = "client/v1/admin/suspend/@nobody:test.example"
        return self.call("GET", path, token).status_code == 404

    def upload(self) -> tuple[str, Callable[[], bool]]:
        """New media: their URI, and whether they can be downloaded."""
        _, token = self.user()
        answer = self.call("POST", "media/v3/upload", token, content=PNG)
        uri = str(answer.json()["content_uri"])
        path = f"client/v1/media/download/{uri.removeprefix('mxc://')}"
        return uri, lambda: self.call("GET", path, token).status_code == 200

    def write(self, unit: Callable[[WriteTransaction], Any]) -> None:
        """Write as a process that is killed before it tells anybody."""

        async def writing() -> None:
            database = Database(create_engine(self.database_url))
            await database.open()
            await database.write(unit)
            await database.close()

        asyncio.run(writing())


@pytest.fixture
def shell(
    database_url: str,
    backend: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Shell]:
    data, port = tmp_path / "data", free_port()
    data.mkdir()
    (data / "palpo.toml").write_text(
        f'server_name = "test.example"\ndata = "{data}"\n[[listeners]]\nbind = "127.0.0.1:{port}"\n'
        f'[database]\nurl = "{database_url}"\n[registration]\nopen = true\n'
        "[rate_limits]\nenabled = false\n[password]\ntime_cost = 1\nmemory_kib = 8\n"
    )
    shell = Shell(ServerProcess(data, port=port), database_url, monkeypatch, capsys)
    if backend != "sqlite":
        shell.write(empty)
    with shell.server:
        yield shell


Prepared = tuple[list[str], Callable[[], bool]]
"""A command, and whether what it does can be seen: not yet, and then within seconds."""


def create(shell: Shell) -> Prepared:
    return ["user", "create", "made", "--password-stdin"], lambda: shell.lets_in("made", NEW_PASSWORD)


def replace_password(shell: Shell) -> Prepared:
    name, token = shell.user()
    return ["user", "password", name, "--password-stdin"], lambda: not shell.knows(token)


def replace_password_only(shell: Shell) -> Prepared:
    name, token = shell.user()
    command = ["user", "password", name, "--password-stdin", "--keep-devices"]
    return command, lambda: shell.knows(token) and not shell.lets_in(name, PASSWORD)


def make_administrator(shell: Shell) -> Prepared:
    name, token = shell.user()
    return ["user", "admin", name], lambda: shell.obeys(token)


def revoke_administrator(shell: Shell) -> Prepared:
    name, token = shell.user()
    shell.palpo("user", "admin", name)
    assert comes(lambda: shell.obeys(token))
    return ["user", "admin", name, "--revoke"], lambda: not shell.obeys(token)


def is_registration_token(shell: Shell, token: str) -> bool:
    path = f"client/v1/register/m.login.registration_token/validity?token={token}"
    return shell.call("GET", path).json().get("valid") is True


def create_registration_token(shell: Shell) -> Prepared:
    command = ["registration-token", "create", "--token", "come"]
    return command, lambda: is_registration_token(shell, "come")


def revoke_registration_token(shell: Shell) -> Prepared:
    shell.palpo("registration-token", "create", "--token", "go")
    assert comes(lambda: is_registration_token(shell, "go"))
    return ["registration-token", "revoke", "go"], lambda: not is_registration_token(shell, "go")


def quarantine(shell: Shell) -> Prepared:
    uri, available = shell.upload()
    assert available()
    return ["media", "quarantine", uri], lambda: not available()


def release(shell: Shell) -> Prepared:
    uri, available = shell.upload()
    shell.palpo("media", "quarantine", uri)
    assert comes(lambda: not available())
    return ["media", "quarantine", uri, "--release"], available


def delete(shell: Shell) -> Prepared:
    uri, available = shell.upload()
    assert available()
    return ["media", "delete", uri], lambda: not available()


COMMANDS = [
    create,
    replace_password,
    replace_password_only,
    make_administrator,
    revoke_administrator,
    create_registration_token,
    revoke_registration_token,
    quarantine,
    release,
    delete,
]


def comes(effect: Callable[[], bool]) -> bool:
    """Whether it is seen in time."""
    deadline = time.monotonic() + SECONDS
    while not effect():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_every_command_has_its_effect_on_a_running_server(shell: Shell) -> None:
    late = []
    for prepare in COMMANDS:
        command, effect = prepare(shell)
        assert not effect(), f"{prepare.__name__}: this is so without the command"
        shell.palpo(*command)
        if not comes(effect):
            late.append(prepare.__name__)
    assert late == []


async def lock(tx: WriteTransaction) -> None:
    await accounts.set_flags(tx, "@user1:test.example", locked=True)


def test_what_nobody_tells_of_is_found(shell: Shell) -> None:
    _, token = shell.user()
    shell.write(lock)
    assert comes(lambda: not shell.knows(token))
