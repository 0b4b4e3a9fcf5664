"""Finding Complement's source: a directory that was named, the cache, or a clone of the pinned commit."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import NotRun

UPSTREAM = "https://github.com/matrix-org/complement"
MODULE = "github.com/matrix-org/complement"
TIMEOUT = 180


class CheckoutMissing(NotRun):
    """No checkout of the suite could be had; the text says what was tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """A directory with the suite's source. `modified` says that it differs from its commit."""

    path: Path
    commit: str
    modified: bool = False

    @property
    def label(self) -> str:
        return f"{self.commit}-modified" if self.modified else self.commit


def cache_directory(env: Mapping[str, str]) -> Path:
    """Where checkouts and test binaries are kept: `$XDG_CACHE_HOME/palpo` or `~/.cache/palpo`."""
    base = env.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "palpo"


def find_checkout(explicit: Path | None, pin: str, env: Mapping[str, str] = os.environ) -> Checkout:
    """The first of: `explicit`, `$COMPLEMENT_DIR`, the cache, a clone. Raises CheckoutMissing.

    A named directory that is no checkout is an error, not a reason to look further.
    """
    named = explicit or (Path(env["COMPLEMENT_DIR"]) if env.get("COMPLEMENT_DIR") else None)
    if named is not None:
        if not is_checkout(named):
            raise CheckoutMissing(f"{named} is no checkout of {MODULE}")
        return describe(named)
    cached = cache_directory(env) / "complement"
    if is_checkout(cached) and describe(cached).commit == pin:
        return describe(cached)
    pinned = cache_directory(env) / f"complement-{pin[:12]}"
    if not is_checkout(pinned):
        clone(pinned, pin)
    return describe(pinned)


def is_checkout(path: Path) -> bool:
    module = path / "go.mod"
    return module.is_file() and f"module {MODULE}" in module.read_text(encoding="utf-8").splitlines()


def describe(path: Path) -> Checkout:
    """The checkout at `path`; its commit is `unknown` where git doesn't know it."""
    code, commit = _git(path, "rev-parse", "HEAD")
    if code:
        return Checkout(path=path.resolve(), commit="unknown")
    _, changes = _git(path, "status", "--porcelain", "--untracked-files=no")
    return Checkout(path=path.resolve(), commit=commit, modified=bool(changes))


def clone(target: Path, pin: str, upstream: str = UPSTREAM) -> None:
    """Fetch one commit of the upstream repository. Raises CheckoutMissing with git's words."""
    target.mkdir(parents=True, exist_ok=True)
    for step in (
        ("init", "--quiet"),
        ("fetch", "--quiet", "--depth=1", upstream, pin),
        ("checkout", "--quiet", "FETCH_HEAD"),
    ):
        code, words = _git(target, *step)
        if code:
            raise CheckoutMissing(f"cannot clone {upstream} at {pin[:12]}: {words}")


def _git(path: Path, *arguments: str) -> tuple[int, str]:
    """The exit code (1 where git cannot be run, or does not end), and what was printed."""
    try:
        done = subprocess.run(
            ["git", "-C", str(path), *arguments],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, str(error)
    return done.returncode, done.stdout.strip()
