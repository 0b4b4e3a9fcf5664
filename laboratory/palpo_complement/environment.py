"""Environments of recipes: what pip installs for them, once, in the cache."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from .checkout import cache_directory
from .commands import run
from .errors import SetupFailed
from .recipe import Recipe

COMPLETE = "complete"


class InstallFailed(SetupFailed):
    """A recipe's packages could not be installed; the text is pip's."""


async def search_path(recipe: Recipe, env: Mapping[str, str]) -> str:
    """The `PATH` of the recipe's programs, which are installed the first time. Raises InstallFailed."""
    path = env.get("PATH", "")
    if not recipe.packages:
        return path
    known = hashlib.sha256("\n".join([sys.version, *recipe.packages]).encode()).hexdigest()[:12]
    folder = cache_directory(env) / "recipes" / f"{recipe.name}-{known}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.with_suffix(".lock")):
        if not (folder / COMPLETE).exists():
            await _install(folder, recipe.packages)
    return f"{folder / 'bin'}:{path}"


async def _install(folder: Path, packages: tuple[str, ...]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    python = str(folder / "bin" / "python")
    print(f"Installing {', '.join(packages)} in {folder}", flush=True)
    for words in (
        (sys.executable, "-m", "venv", str(folder)),
        (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages),
    ):
        code, output = await run(*words)
        if code:
            raise InstallFailed(f"{' '.join(words)} ended with code {code}:\n{output[-4000:]}")
    (folder / COMPLETE).touch()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Alone with a folder, whoever else runs on this machine."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
