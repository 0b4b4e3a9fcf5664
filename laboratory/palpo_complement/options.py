"""What a run was asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

RECIPE = "palpo"
"""The recipe of a run that names none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """The options of `palpo-conformance run`.

    `timeout` is in seconds for each package. `recipe` is a shipped recipe's name or a file; `image` is a
    Docker image. `other` is what hs2 is, of the same kind as these: only tests of two homeservers run then,
    and what comes of it is kept as a pair's. `images` maps homeserver names (`hs3`) to others of these.
    `results` is the folder to update, or None to leave it.
    """

    complement: Path | None = None
    pattern: str | None = None
    packages: tuple[str, ...] = ()
    engine: str = "process"
    database: str = "sqlite"
    database_url: str | None = None
    jobs: int = 1
    timeout: int = 1800
    recipe: str = RECIPE
    image: str | None = None
    other: str | None = None
    images: tuple[tuple[str, str], ...] = ()
    server_name: str | None = None
    server_commit: str | None = None
    schema_check: bool = True
    keep_logs: bool = False
    rerun_failures: bool = False
    debug: bool = False
    output: Path = Path("conformance-out")
    results: Path | None = None
