"""What a run was asked to do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

# What a server imports late, so that its forks need not do it each.
PRELOAD = (
    "palpo.app",
    "uvloop",
    "hypercorn.asyncio",
    "cryptography.hazmat.primitives.asymmetric.ec",
    "palpo_conformance.schema_check",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """The options of `palpo-conformance run`.

    `timeout` is in seconds for each package. `images` maps homeserver names (`hs2`) to other images, for
    mixed pairs. `results` is the folder to update, or None to leave it.
    """

    complement: Path | None = None
    pattern: str | None = None
    packages: tuple[str, ...] = ()
    engine: str = "process"
    database: str = "sqlite"
    database_url: str | None = None
    jobs: int = 1
    timeout: int = 1800
    image: str | None = None
    images: tuple[tuple[str, str], ...] = ()
    server_command: str | None = None
    prepare_command: str | None = None
    server_target: str = "palpo.cli.complement:main"
    prepare_target: str | None = "palpo.cli.complement:prepare"
    preload: tuple[str, ...] = PRELOAD
    server_name: str = "palpo"
    server_commit: str | None = None
    schema_check: bool = True
    keep_logs: bool = False
    rerun_failures: bool = False
    debug: bool = False
    output: Path = Path("conformance-out")
    results: Path | None = None

    def with_target(self, target: str) -> RunOptions:
        """Fork `target` for each server; its module may offer `prepare` as a function of the same kind."""
        module = target.partition(":")[0]
        return replace(self, server_target=target, prepare_target=f"{module}:prepare", preload=())
