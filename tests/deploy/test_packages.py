"""The wheel and the Debian package: what is in them, and that what they install runs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import httpx
import pytest

from palpo import __version__
from tests.support.process import ANSWER_SECONDS, START_SECONDS, free_port
from tests.support.programs import program

ROOT = Path(__file__).parents[2]
BUILD_SECONDS = 600
pytestmark = pytest.mark.one_database


def test_the_wheel_has_all_files(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name == f"palpo-{__version__}-py3-none-any.whl"
    kept = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "palpo").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("palpo/")}
    assert packed == kept


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Debian package of this checkout."""
    program("dpkg-deb")
    folder = tmp_path_factory.mktemp("package")
    command = [str(ROOT / "scripts" / "debian-package"), str(folder)]
    environment = {**os.environ, "EXTRAS": "postgresql"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_SECONDS, env=environment)
    if "Connection" in done.stderr and os.environ.get("PALPO_REQUIRE_SERVICES") != "1":
        pytest.skip("not run: pip does not reach its index")
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


@pytest.fixture(scope="module")
def unpacked(package: Path) -> Path:
    """What is in it, in a folder."""
    folder = package.parent / "unpacked"
    subprocess.run([program("dpkg-deb"), "--extract", str(package), str(folder)], check=True)
    return folder


def test_what_is_where(unpacked: Path) -> None:
    command = (unpacked / "opt/palpo/bin/palpo").read_text()
    assert command.startswith("#!/opt/palpo/bin/python")
    assert os.readlink(unpacked / "usr/bin/palpo") == "/opt/palpo/bin/palpo"
    unit = (unpacked / "usr/lib/systemd/system/palpo.service").read_text()
    assert "ExecStart=/opt/palpo/bin/palpo serve" in unit
    examples = {path.name for path in (unpacked / "usr/share/doc/palpo/examples").iterdir()}
    assert "palpo.toml" in examples
    assert not (unpacked / "etc").exists()


def test_nothing_tells_where_it_was_built(unpacked: Path) -> None:
    """Not even compiled modules."""
    for name in ("bin", "lib"):
        found = subprocess.run(
            ["grep", "-rlF", "/package/opt/palpo", str(unpacked / "opt/palpo" / name)],
            capture_output=True,
            text=True,
        )
        assert found.stdout == ""


def test_what_it_installs_runs(unpacked: Path, tmp_path: Path) -> None:
    """Started from where it was unpacked, with nothing of this environment."""
    port = free_port()
    python = str(unpacked / "opt/palpo/bin/python")
    command = [python, "-m", "palpo.cli.main", "start", "--data", str(tmp_path / "data")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--bind", f"127.0.0.1:{port}"], stdout=log, stderr=log, cwd=tmp_path, env=environment
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/_palpo/health", process, tmp_path / "log")
        page = httpx.get(f"http://127.0.0.1:{port}/", headers={"Accept": "text/html"})
        assert page.status_code == 200
    finally:
        process.terminate()
        assert process.wait(START_SECONDS) == 0


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until it answers."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(url, timeout=ANSWER_SECONDS).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(log.read_text())


def run(command: list[str], **environment: str) -> str:
    """What a command says that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_is_installed_and_removed(package: Path, tmp_path: Path) -> None:
    """In a root for dpkg beside this machine's own, where nothing is that the package depends on."""
    if os.geteuid() != 0:
        pytest.skip("not run: dpkg is root's")
    program("systemd-sysusers")
    root = tmp_path / "root"
    for name in ("etc", "var/lib/dpkg/info", "var/lib/dpkg/updates"):
        (root / name).mkdir(parents=True)
    (root / "var/lib/dpkg/status").touch()
    force = "script-chrootless,depends,unsafe-io"
    dpkg = [program("dpkg"), f"--root={root}", f"--force-{force}"]

    assert "has no configuration yet" in run([*dpkg, "--install", str(package)])

    data, etc = root / "var/lib/palpo", root / "etc/palpo"
    users = dict(line.split(":", 1) for line in (root / "etc/passwd").read_text().splitlines())
    uid, gid = (int(text) for text in users["palpo"].split(":")[1:3])
    assert (data.stat().st_uid, data.stat().st_mode & 0o777) == (uid, 0o700)
    assert (etc.stat().st_uid, etc.stat().st_gid, etc.stat().st_mode & 0o777) == (0, gid, 0o750)
    assert not (root / "etc/systemd").exists()
    (data / "signing.key").write_text("key")
    (etc / "palpo.toml").write_text("configuration")

    assert "/var/lib/palpo" in run([*dpkg, "--purge", "palpo"])

    assert (data / "signing.key").exists()
    assert (etc / "palpo.toml").exists()
    assert not (root / "opt/palpo").exists()


def test_a_purge_takes_the_data_where_that_is_wanted(tmp_path: Path) -> None:
    data, etc = tmp_path / "var/lib/palpo", tmp_path / "etc/palpo"
    for folder in (data, etc):
        folder.mkdir(parents=True)
    script = str(ROOT / "deploy/debian/postrm")
    run([script, "remove"], DPKG_ROOT=str(tmp_path), PALPO_PURGE_DATA="1")
    assert data.exists()
    run([script, "purge"], DPKG_ROOT=str(tmp_path), PALPO_PURGE_DATA="1")
    assert not data.exists()
    assert not etc.exists()
