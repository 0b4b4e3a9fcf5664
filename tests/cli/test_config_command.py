"""``palpo config`` and ``palpo server reload``, as an operator runs them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop

from palpo.app import application
from palpo.cli.command_server import serving_commands
from palpo.cli.main import main
from palpo.config.sources import ConfigSource
from palpo.core.errors import Conflict, InvalidParam
from palpo.core.records.quotas import Kind
from palpo.streams.clock import FakeClock
from tests.support.homeserver import Homeserver

pytestmark = pytest.mark.sqlite
TEXT = """\
server_name = "test.example"  # ours
data = "{data}"

[registration]
open = true
shared_secret = "very secret"

[federation]
enabled = false

[log]
requests = false
level = "error"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "palpo.toml"
    file.write_text(TEXT.format(data=tmp_path))
    return file


def palpo(file: Path, *arguments: str) -> int:
    return main([*arguments, "--config", str(file)])


def test_show_and_explain(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert palpo(file, "config", "show") == 0
    shown = capsys.readouterr().out
    assert f'server_name = "test.example"  # {file}\n' in shown
    assert f"registration.shared_secret = (hidden)  # {file}" in shown
    assert "secret" not in shown.replace("shared_secret", "")
    assert "log.format" not in shown
    assert palpo(file, "config", "show", "log", "--all", "--json") == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["log.format"]["source"] == "default"
    assert not rows["log.format"]["reload"]
    assert rows["log.level"]["reload"]
    assert all(name.startswith("log.") for name in rows)
    assert palpo(file, "config", "explain", "registration.shared_secret") == 0
    explained = capsys.readouterr().out
    assert "registration.shared_secret_file may name a file" in explained
    assert "A reload takes it over" in explained
    assert "very secret" not in explained
    assert palpo(file, "config", "explain", "registration.shared_sekret") == 2
    assert "did you mean registration.shared_secret?" in capsys.readouterr().err


def test_set_and_unset(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert palpo(file, "config", "set", "log.level", "warning") == 0
    assert "palpo server reload" in capsys.readouterr().out
    assert palpo(file, "config", "set", "log.format", "text") == 0
    assert "from the next start" in capsys.readouterr().out
    assert palpo(file, "config", "set", "log.format", "text") == 0
    assert "is as it was" in capsys.readouterr().out
    assert palpo(file, "config", "set", "rate_limits.login.burst", "7") == 0
    assert palpo(file, "config", "set", "log.level", "loud") == 2
    assert "'loud' is none of debug" in capsys.readouterr().err
    assert palpo(file, "config", "unset", "log.requests") == 0
    config = ConfigSource((file,)).load()
    assert (config.log.level, config.log.format, config.log.requests) == ("warning", "text", True)
    assert config.rate_limits.login.burst == 7
    assert file.read_text().startswith('server_name = "test.example"  # ours\n')


def test_check_names_what_is_wrong(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert palpo(file, "config", "check", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"server_name": "test.example"}
    file.write_text(file.read_text() + "\n[registratoin]\n")
    assert palpo(file, "config", "check") == 2
    assert "did you mean registration?" in capsys.readouterr().err


@asynccontextmanager
async def served(file: Path) -> AsyncIterator[Homeserver]:
    """A server that knows where its configuration is from."""
    source = ConfigSource((file,))
    config = source.load()
    async with application(config, clock=FakeClock()) as app:
        app.services.server.live.source = source
        server = Homeserver(app, FakeClock())
        async with server.http, serving_commands(app.services, config.data):
            yield server


def test_a_reload_is_in_force(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert palpo(file, "migrate") == 0
    uvloop.run(reloads(file, capsys))


async def reloads(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with served(file) as server:
        alice = await server.register("alice")
        changes = {
            "registration.open": "false",
            "rate_limits.login.burst": "1",
            "quotas.devices.user": "9",
            "network.allow": '["127.0.0.0/8"]',
            "federation.deny": '["bad.example"]',
            "rooms.default_version": "11",
            "log.requests": "true",
        }
        for name, value in changes.items():
            assert await asyncio.to_thread(palpo, file, "config", "set", name, value) == 0
        capsys.readouterr()
        assert await asyncio.to_thread(palpo, file, "server", "reload", "--json") == 0
        told = json.loads(capsys.readouterr().out)
        assert told["needs_restart"] == ["log.requests"]
        assert set(changes) - {"log.requests"} <= set(told["in_force"])

        parts, administration = server.services.server, server.services.administration.configuration
        assert not parts.server_name_rules.permits("bad.example")
        assert parts.quotas.limit(Kind.DEVICES) == 9
        login = {"type": "m.login.password", "user": "alice", "password": "wrong"}
        await server.client().post("/login", login, status=403)
        await server.client().post("/login", login, status=429)
        await server.client().post("/register", {"username": "bob", "password": "long enough"}, status=403)
        capabilities = await alice.get("/capabilities")
        assert capabilities["capabilities"]["m.room_versions"]["default"] == "11"

        proposal = administration.proposed({"log.requests": False, "caches.megabytes": 1})
        assert proposal.needs_restart == ("caches.megabytes",)
        assert "none of debug" in administration.proposed({"log.level": "loud"}).problem
        assert "did you mean" in administration.proposed({"log.levl": "info"}).problem
        with pytest.raises(InvalidParam, match="none of debug"):
            administration.apply({"log.level": "loud"})
        assert administration.apply({"log.level": "warning"}).in_force == ("log.level",)
        shown = {item.setting.name: item for item in administration.shown()}
        assert shown["log.level"].value == "warning"
        assert shown["log.level"].source == str(file)
        assert shown["registration.shared_secret"].value == "(hidden)"
        await asyncio.to_thread(file.write_text, "nonsense")
        with pytest.raises(Conflict, match="nothing has changed"):
            administration.reload()
        assert not parts.config.registration.open


def test_what_would_not_start_again_is_refused(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert palpo(file, "migrate") == 0
    uvloop.run(stays_able_to_start(file))
    assert "/nowhere" not in file.read_text()


async def stays_able_to_start(file: Path) -> None:
    async with served(file) as server:
        parts, configuration = server.services.server, server.services.administration.configuration
        for name, value, why in (
            ("data", str(file.parent / "other"), "data: it cannot be changed while the server runs"),
            ("database.url", "sqlite:////nowhere/x", "database.url: it cannot be changed while the server"),
            ("server_name", "other.example", "server_name: it cannot be changed while the server runs"),
            ("log.file", "/nowhere/palpo.log", "log.file: /nowhere/palpo.log: there is no folder /nowhere"),
            ("appservices", ["/nowhere/bridge.yaml"], "/nowhere/bridge.yaml"),
        ):
            with pytest.raises(InvalidParam, match=why):
                configuration.apply({name: value})
            assert why in configuration.proposed({name: value}).problem
        begun: list[bool] = []
        parts.restarts.carried_out_by(lambda: begun.append(True))
        before = await asyncio.to_thread(file.read_text)
        by_hand = before.replace('level = "error"', 'level = "error"\nfile = "/nowhere/palpo.log"')
        await asyncio.to_thread(file.write_text, by_hand)
        with pytest.raises(Conflict, match=r"goes on: log\.file: /nowhere/palpo\.log"):
            parts.restarts.begin()
        assert begun == []
        await asyncio.to_thread(file.write_text, before)
        parts.restarts.begin()
        assert begun == [True]


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("log.file", "/nowhere/palpo.log", "log.file: /nowhere/palpo.log: there is no folder /nowhere"),
        ("log.file", "/proc", "log.file: /proc: it is a folder"),
        ("data", "{folder}/palpo.toml", "data: {folder}/palpo.toml: it is no folder"),
        ("data", "{folder}/palpo.toml/data", "it is not there, and cannot be made in {folder}/palpo.toml"),
        ("server_name", "other.example", "data: {folder} is test.example's: name a folder of its own"),
    ],
)
def test_what_no_start_could_use(
    file: Path, capsys: pytest.CaptureFixture[str], name: str, value: str, why: str
) -> None:
    """``check`` says so, ``set`` writes nothing, and a start names the setting."""
    assert palpo(file, "user", "list") == 0
    value, why = value.format(folder=file.parent), why.format(folder=file.parent)
    capsys.readouterr()
    before = file.read_text()
    assert palpo(file, "config", "set", name, value) == 2
    assert why in capsys.readouterr().err
    assert file.read_text() == before
    assert palpo(file, "config", "check", "--set", f"{name}={value}") == 2
    assert why in capsys.readouterr().err
    if name != "server_name":  # As long as there are no users, a start gives the folder another name.
        assert palpo(file, "serve", "--set", f"{name}={value}") == 2
        assert capsys.readouterr().err.startswith(f"palpo: {name}: ")


def test_without_a_server_there_is_none_to_reload(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert palpo(file, "server", "reload") == 1
    assert palpo(file, "server", "status", "--json") == 1
    assert json.loads(capsys.readouterr().out)["running"] is False
