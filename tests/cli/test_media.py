"""``palpo media``, as an operator runs it."""

import os
from pathlib import Path

import pytest
import uvloop

from palpo.cli.main import main
from tests.media.images import image
from tests.support.homeserver import Client, homeserver

PNG = image(64, 48)


def palpo(data: Path, *arguments: str) -> int:
    settings = ["--set", "server_name=test.example", "--set", f"data={data}"]
    return main(["media", *arguments, *settings])


def files(data: Path) -> list[Path]:
    return [path for path in (data / "media" / "blobs").rglob("*") if path.is_file()]


async def upload(client: Client, data: bytes) -> str:
    headers = {"Content-Type": "image/png"}
    answer = await client.request("POST", "/media/v3/upload", content=data, headers=headers)
    return str(answer["content_uri"])


def download(uri: str) -> str:
    return f"/client/v1/media/download/{uri.removeprefix('mxc://')}"


async def with_two_uris(data: Path) -> tuple[str, str]:
    """Two URIs of the same image, which has a thumbnail."""
    async with homeserver(data) as server:
        alice = await server.register("alice")
        first, second = await upload(alice, PNG), await upload(alice, PNG)
        path = f"/client/v1/media/thumbnail/{first.removeprefix('mxc://')}?width=16&height=16"
        await alice.request("GET", path)
    return first, second


async def statuses(data: Path, *uris: str) -> list[int]:
    async with homeserver(data) as server:
        alice = await server.login("alice")
        headers = {"Authorization": f"Bearer {alice.token}"}
        answers = [await alice.http.get(f"/_matrix{download(uri)}", headers=headers) for uri in uris]
        return [answer.status_code for answer in answers]


def test_quarantine_and_release(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = uvloop.run(with_two_uris(tmp_path))
    assert palpo(tmp_path, "quarantine", first) == 0
    assert f"{first} is withheld" in capsys.readouterr().out
    assert uvloop.run(statuses(tmp_path, first, second)) == [404, 404]  # Their content is the same.
    assert palpo(tmp_path, "quarantine", first, "--release") == 0
    assert uvloop.run(statuses(tmp_path, first, second)) == [200, 200]


def test_content_goes_with_its_last_uri(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = uvloop.run(with_two_uris(tmp_path))
    assert len(files(tmp_path)) == 2
    assert palpo(tmp_path, "delete", first) == 0
    assert f"Removed {first}" in capsys.readouterr().out
    assert len(files(tmp_path)) == 2
    assert uvloop.run(statuses(tmp_path, first, second)) == [404, 200]
    assert palpo(tmp_path, "delete", second) == 0
    assert files(tmp_path) == []
    assert uvloop.run(statuses(tmp_path, second)) == [404]


@pytest.mark.parametrize("action", ["quarantine", "delete"])
@pytest.mark.parametrize("uri", ["mxc://test.example/nothing", "mxc://test.example", "nothing"])
def test_what_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str], action: str, uri: str) -> None:
    assert main(["migrate", "--set", "server_name=test.example", "--set", f"data={tmp_path}"]) == 0
    assert palpo(tmp_path, action, uri) == 1
    assert "palpo: " in capsys.readouterr().err


def test_sweep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, _ = uvloop.run(with_two_uris(tmp_path))
    kept = files(tmp_path)
    folder = tmp_path / "media" / "blobs" / "ab" / "cd"
    folder.mkdir(parents=True)
    for name in ("old", "young"):
        path = folder / ("abcd" + name.encode().hex()).ljust(64, "0")
        path.write_bytes(b"12345")
        if name == "old":
            os.utime(path, (0, 0))
    for path in kept:
        os.utime(path, (0, 0))
    assert palpo(tmp_path, "sweep") == 0
    assert "Removed 1 files, 5 bytes" in capsys.readouterr().out
    assert len(files(tmp_path)) == 3
    assert palpo(tmp_path, "sweep", "--age", "-5") == 0
    assert sorted(files(tmp_path)) == sorted(kept)
    assert uvloop.run(statuses(tmp_path, first)) == [200]
