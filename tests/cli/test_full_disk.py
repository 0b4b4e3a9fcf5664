"""A disk that is full, or cannot be written: what clients, operators and the log are told.

A file system of the test's own needs root; without it those tests say that they were not run. A limit
on the size of files needs nothing.
"""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.process import ServerProcess, free_port

SIZE_MB = 32
SECONDS = 20.0


class Server:
    """A server in a folder, and one user with a room."""

    def __init__(self, data: Path) -> None:
        port = free_port()
        data.mkdir(parents=True, exist_ok=True)
        (data / "palpo.toml").write_text(
            f'server_name = "test.example"\ndata = "{data}"\n[[listeners]]\nbind = "127.0.0.1:{port}"\n'
            "[registration]\nopen = true\n[rate_limits]\nenabled = false\n"
            "[password]\ntime_cost = 1\nmemory_kib = 8\n"
        )
        self.data = data
        self.process = ServerProcess(data, port=port)
        self.token = self.room_id = ""

    def begin(self) -> None:
        body = {"username": "alice", "password": "a long password", "auth": {"type": "m.login.dummy"}}
        self.token = self.call("POST", "client/v3/register", json=body).json()["access_token"]
        self.room_id = self.call("POST", "client/v3/createRoom", json={}).json()["room_id"]

    def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return httpx.request(
            method, f"{self.process.url}/_matrix/{path}", headers=headers, timeout=30, **more
        )

    def send(self, transaction: str) -> httpx.Response:
        body = {"msgtype": "m.text", "body": transaction}
        path = f"client/v3/rooms/{self.room_id}/send/m.room.message/{transaction}"
        return self.call("PUT", path, json=body)

    def upload(self, size: int = 1000) -> httpx.Response:
        return self.call("POST", "media/v3/upload", content=os.urandom(size))

    def bodies(self) -> list[str]:
        path = f"client/v3/rooms/{self.room_id}/messages?dir=f&limit=100"
        chunk = self.call("GET", path).json()["chunk"]
        return [event["content"]["body"] for event in chunk if event["type"] == "m.room.message"]

    @property
    def failing(self) -> set[str]:
        """The parts that health says do not work."""
        answer = httpx.get(f"{self.process.url}/_palpo/health", timeout=30)
        assert (answer.status_code == 503) == ("failing" in answer.json())
        return set(answer.json().get("failing", ()))

    def until_well(self) -> None:
        deadline = time.monotonic() + SECONDS
        while self.failing:
            assert time.monotonic() < deadline
            time.sleep(0.2)

    def lines(self, event: str) -> int:
        """How often the log says so."""
        return self.process.log.count(event)

    @property
    def staged(self) -> list[Path]:
        """What is left of uploads that were not taken."""
        return list((self.data / "media" / "tmp").iterdir())


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "palpo-test", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("not run: only root can mount a file system of the test's own")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Take what is left of a file system."""
    ballast = folder / "ballast"
    with ballast.open("ab", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            with suppress(OSError):
                while True:
                    file.write(b"x" * size)
    return ballast


def test_a_full_disk(disk: Path) -> None:
    server = Server(disk / "data")
    with server.process:
        server.begin()
        first = server.send("before").json()["event_id"]
        ballast = fill(disk)

        answers = [server.send("full") for _ in range(10)]
        assert {(answer.status_code, answer.json()["errcode"]) for answer in answers} == {(507, "M_UNKNOWN")}
        uploads = [server.upload(300_000) for _ in range(5)]
        assert {answer.status_code for answer in uploads} == {507}
        assert server.staged == []
        assert server.failing == {"database, writing", "media folder"}
        assert server.bodies() == ["before"]
        assert server.call("GET", f"client/v3/rooms/{server.room_id}/event/{first}").status_code == 200

        ballast.unlink()
        server.until_well()
        assert server.send("full").status_code == 200
        assert server.upload(300_000).status_code == 200
        assert server.bodies() == ["before", "full"]
        # The log is on the same disk: what it said while that was full may be lost.
        assert server.lines("not_working") <= 2
        assert "Traceback" not in server.process.log


def test_files_that_may_not_grow(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    with server.process:
        server.begin()
        server.send("before")
        pid = server.process.pid
        unlimited = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        logged = (server.data / "server.log").stat().st_size
        assert logged < 60_000
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (100_000, unlimited[1]))

        answers = [server.send("over") for _ in range(10)]
        assert {(answer.status_code, answer.json()["errcode"]) for answer in answers} == {(503, "M_UNKNOWN")}
        uploads = [server.upload(200_000) for _ in range(5)]
        assert {answer.status_code for answer in uploads} == {503}
        assert server.staged == []
        assert server.failing == {"database, writing", "media folder"}
        assert server.bodies() == ["before"]
        assert server.lines("not_working") == 2

        resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)
        server.until_well()
        assert server.send("over").status_code == 200
        assert server.bodies() == ["before", "over"]
        assert server.lines("not_working") == server.lines("working_again") == 2
        assert "Traceback" not in server.process.log


def test_a_media_folder_that_is_not_there_any_more(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    with server.process:
        server.begin()
        staging = server.data / "media" / "tmp"
        staging.rename(staging.with_name("elsewhere"))
        staging.write_text("a file where a folder was")

        answers = [server.upload() for _ in range(5)]
        assert {(answer.status_code, answer.json()["errcode"]) for answer in answers} == {(503, "M_UNKNOWN")}
        assert server.failing == {"media folder"}
        assert server.send("text").status_code == 200
        assert server.lines("not_working") == 1

        staging.unlink()
        staging.with_name("elsewhere").rename(staging)
        server.until_well()
        assert server.upload().status_code == 200
        assert "Traceback" not in server.process.log
