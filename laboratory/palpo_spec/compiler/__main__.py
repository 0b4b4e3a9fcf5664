"""`python -m palpo_spec.compiler PATH`: compile the specification's `data/` folder at PATH."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from difflib import unified_diff
from pathlib import Path
from typing import Any

from palpo_spec.compiler.corrections import StaleCorrection
from palpo_spec.compiler.output import DATA, compile_source, render
from palpo_spec.compiler.source import SourceError

REPOSITORY = "https://github.com/matrix-org/matrix-spec"


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m palpo_spec.compiler",
        description="Compile the Matrix specification's data folder into operations, schemas and events.",
    )
    parser.add_argument("path", type=Path, help="the data/ folder of a checkout of matrix-org/matrix-spec")
    parser.add_argument("--check", action="store_true", help="write nothing; report what would change")
    parser.add_argument("--output", type=Path, default=DATA, help="where the files go")
    parser.add_argument("--spec-version", help="the version compiled, such as v1.19: goes to VERSION")
    parser.add_argument("--commit", help="the commit of the checkout: goes to VERSION")
    arguments = parser.parse_args(argv)
    if bool(arguments.spec_version) != bool(arguments.commit):
        parser.error("--spec-version and --commit go together")
    return arguments


def _check(compiled: dict[str, Any], folder: Path) -> int:
    """Print how the files in `folder` would change; 1 when any would."""
    changes: list[str] = []
    for name, value in compiled.items():
        file = folder / name
        old = file.read_text(encoding="utf-8") if file.is_file() else ""
        changes += unified_diff(old.splitlines(), render(value).splitlines(), name, name, lineterm="")
    print("\n".join(changes) or "no differences")
    return 1 if changes else 0


def _write(compiled: dict[str, Any], arguments: argparse.Namespace) -> None:
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name, value in compiled.items():
        text = render(value)
        (arguments.output / name).write_text(text, encoding="utf-8")
        print(f"{name}: {len(text.encode())} bytes")
    if arguments.commit:
        version = f"version: {arguments.spec_version}\nrepository: {REPOSITORY}\ncommit: {arguments.commit}\n"
        (arguments.output / "VERSION").write_text(version, encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status: 0 done or no difference, 1 differences, 2 a checkout it can't read."""
    arguments = _arguments(argv)
    try:
        compiled = compile_source(arguments.path)
    except (SourceError, StaleCorrection) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if arguments.check:
        return _check(compiled, arguments.output)
    _write(compiled, arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
