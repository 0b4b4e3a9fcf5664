"""Commands ask the server that runs, by the socket in its data folder."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import io
import json
import os
import socket
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import msgspec
import pytest
import uvloop

from palpo import __version__
from palpo.api.services import Services
from palpo.cli import actions
from palpo.cli.asking import SOCKET, End, Reply, Request, ask_server
from palpo.cli.command_server import serving_commands
from palpo.cli.main import main
from palpo.cli.outcomes import Outcome
from palpo.services.server.jobs import Step
from tests.support.homeserver import Homeserver, homeserver

PASSWORD = "staple battery horse"


def palpo(data: Path, *arguments: str) -> int:
    return main([*arguments, "--set", "server_name=test.example", "--set", f"data={data}"])


@asynccontextmanager
async def commanded(data: Path) -> AsyncIterator[Homeserver]:
    async with homeserver(data) as server, serving_commands(server.services, data):
        yield server


async def test_the_server_does_it_and_it_is_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("palpo.cli.actions._act", None)  # Nobody opens the database beside the server.
    async with commanded(tmp_path) as server:
        assert stat.S_IMODE(os.stat(tmp_path / SOCKET).st_mode) == 0o600
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n"))
        create = ("user", "create", "bob", "--admin", "--password-stdin")
        assert await asyncio.to_thread(palpo, tmp_path, *create) == 0
        assert capsys.readouterr().out == "Created @bob:test.example\n"
        login = {"type": "m.login.password", "user": "bob", "password": PASSWORD}
        token = (await server.client().post("/login", login))["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        await server.client().get("/account/whoami", headers=headers)
        assert await asyncio.to_thread(palpo, tmp_path, "user", "lock", "nobody") == 1
        assert "There is no user 'nobody'" in capsys.readouterr().err
        # Who is locked is so at once: it is the server's own memory that has heard of it.
        assert await asyncio.to_thread(palpo, tmp_path, "user", "lock", "bob", "--json") == 0
        told = {"user_id": "@bob:test.example", "locked": True}
        assert json.loads(capsys.readouterr().out) == told
        await server.client().get("/account/whoami", headers=headers, status=401)
        assert await asyncio.to_thread(palpo, tmp_path, "audit-log", "list", "--json") == 0
        entries = json.loads(capsys.readouterr().out)
        assert await asyncio.to_thread(palpo, tmp_path, "audit-log", "list", "--actor", "nobody") == 0
        assert capsys.readouterr().out == "Nothing has been done\n"
    assert [(entry["action"], entry["target"], entry["status"]) for entry in entries] == [
        ("user lock", "bob", 200),
        ("user lock", "nobody", 404),
        ("user create", "bob", 200),
    ]
    assert {(entry["actor"], entry["via"]) for entry in entries} == {(getpass.getuser(), "shell")}
    assert PASSWORD not in json.dumps(entries)
    assert not (tmp_path / SOCKET).exists()


def test_without_a_server_it_is_written_down_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    uvloop.run(with_alice(tmp_path))
    assert palpo(tmp_path, "user", "suspend", "alice") == 0
    assert palpo(tmp_path, "user", "show", "alice", "--json") == 0
    assert palpo(tmp_path, "audit-log", "list") == 0
    lines = capsys.readouterr().out
    assert '"suspended": true' in lines
    assert f"{getpass.getuser()}  shell  user suspend  alice" in lines


def test_what_a_killed_server_left_behind_is_no_server(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / SOCKET))
    assert palpo(tmp_path, "user", "list") == 0
    assert (tmp_path / SOCKET).exists()

    async def served() -> None:
        async with commanded(tmp_path) as server:
            await server.register("alice")
            assert await asyncio.to_thread(palpo, tmp_path, "user", "list") == 0

    uvloop.run(served())
    assert capsys.readouterr().out == "There are no accounts\n@alice:test.example\n"


async def with_alice(data: Path) -> None:
    async with homeserver(data) as server:
        await server.register("alice")


async def test_a_second_process_leaves_the_socket_to_the_first(tmp_path: Path) -> None:
    async with commanded(tmp_path) as server:
        async with serving_commands(server.services, tmp_path):
            pass
        assert await asyncio.to_thread(palpo, tmp_path, "user", "list") == 0


async def test_another_version_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with commanded(tmp_path):
        monkeypatch.setattr("palpo.cli.asking.__version__", "9.9")
        assert await asyncio.to_thread(palpo, tmp_path, "user", "list") == 1
    assert f"is Palpo {__version__}, the command is of 9.9" in capsys.readouterr().err


@contextmanager
def dying(data: Path, *replies: Reply) -> Iterator[None]:
    """A server that says so much, and ends."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(data / SOCKET))
    listener.listen()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as lines:
            msgspec.json.decode(lines.readline(), type=Request)
            for reply in replies:
                connection.sendall(msgspec.json.encode(reply) + b"\n")

    thread = Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        thread.join()
        listener.close()


def test_a_server_that_dies_in_the_middle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with dying(tmp_path, Reply(progress="begun")):
        assert palpo(tmp_path, "user", "deactivate", "alice") == 1
    error = capsys.readouterr().err
    assert error.startswith("begun\n")
    assert "it may or may not be done" in error
    (tmp_path / SOCKET).unlink()
    with dying(tmp_path, Reply(job="abc")):
        assert palpo(tmp_path, "user", "deactivate", "alice") == 1
    assert "palpo jobs follow abc" in capsys.readouterr().err


def test_a_server_that_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits is told so, once, and goes on waiting."""
    monkeypatch.setattr("palpo.cli.asking.SILENT_SECONDS", 0.05)
    answer, told = Event(), list[str]()

    def tell(line: str) -> None:
        told.append(line)
        answer.set()

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / SOCKET))
    listener.listen()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            answer.wait()
            connection.sendall(msgspec.json.encode(Reply(end=End(text="at last"))) + b"\n")

    thread = Thread(target=serve)
    thread.start()
    outcome = ask_server(tmp_path, "user list", {}, tell=tell)
    thread.join()
    listener.close()
    assert outcome is not None
    assert outcome.text == "at last"
    assert told == ["the server has not answered yet, and is waited for; Ctrl-C ends that"]


async def test_nonsense_is_answered_and_nobody_else_waits(tmp_path: Path) -> None:
    async with commanded(tmp_path):
        for sent in (b"nonsense\n", b"{}\n"):
            reader, writer = await asyncio.open_unix_connection(tmp_path / SOCKET)
            writer.write(sent)
            reply = msgspec.json.decode(await reader.readline(), type=Reply)
            assert reply.end is not None
            assert reply.end.error == "the server does not understand what it is asked"
            writer.close()
        # Too long a line: the connection ends.
        reader, writer = await asyncio.open_unix_connection(tmp_path / SOCKET)
        writer.write(b"x" * (1 << 21))
        with suppress(OSError):
            await writer.drain()
            assert await reader.read() == b""
        writer.close()
        assert await asyncio.to_thread(palpo, tmp_path, "user", "list") == 0


async def test_a_job_is_followed_until_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    go_on = asyncio.Event()

    async def work(step: Step) -> dict[str, Any]:
        await step.save({"at": 1}, done=1, of=2)
        await go_on.wait()
        return {"done": 2}

    async def begin(services: Services, options: argparse.Namespace) -> Outcome:
        job = await services.server.jobs.start("count", target="all", requested_by=options.actor)
        return Outcome("", None, job=job)

    told: list[str] = []

    def tell(line: str) -> None:
        told.append(line)
        if "done 1, of 2" in line:
            loop.call_soon_threadsafe(go_on.set)

    loop = asyncio.get_running_loop()
    monkeypatch.setattr("palpo.app.starting.job_handlers", lambda services: {"count": work})
    monkeypatch.setitem(
        actions.ACTIONS,
        "jobs list",
        actions.Registered(words="jobs list", run=begin, target="", changes=True),
    )
    async with commanded(tmp_path):
        outcome = await asyncio.to_thread(ask_server, tmp_path, "jobs list", {}, tell=tell)
    assert outcome is not None
    assert outcome.status == 0
    assert outcome.text.endswith("count of all  complete: done 2")
    assert any("done 1, of 2" in line for line in told)
    assert outcome.data["requested_by"] == getpass.getuser()


def test_what_is_no_text_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert palpo(tmp_path, "user", "show", "al\udcffce") == 2
    assert "not UTF-8" in capsys.readouterr().err
