"""`palpo-conformance`: run the suite, and read what it gave.

Exit codes of `run`: 0 all that ran passed, 1 a test failed, 2 the run could not be set up, 3 Complement was
not run at all (no checkout, or no Go), 130 interrupted.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
import sys
from dataclasses import fields
from pathlib import Path

import uvloop
from palpo_conformance import cli as laboratory
from palpo_conformance.files import log_path
from palpo_conformance.model import Run, Status, status_counts
from palpo_conformance.suite import load_suite

from .errors import NotRun, SetupFailed
from .options import RunOptions
from .recipe import shipped
from .run import conformance_run
from .selection import UnknownPackage, resolve_packages

NOT_RUN = 3
FEW = 5
WIDTH = 300

# The suite puts a fatal error, of one line or many, between these codes for red and for the default colour.
_FAILURE = re.compile(r"^ *--- FAIL.*$|^ *\w+\.go:\d+: \x1b\[31m[^\x1b]*", re.MULTILINE)
_SAID = re.compile(r" *\w+\.go:\d+: ")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; gives its exit code."""
    parsed = parser().parse_args(arguments)
    code: int = parsed.handler(parsed)
    return code


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = argparse.ArgumentParser(
        prog="palpo-conformance", description="Run Complement and read its results."
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    _add_run(commands.add_parser("run", help="run the suite, or a part of it"))
    listing = commands.add_parser("list", help="print the suite's tests")
    listing.add_argument("--package", type=_names, default=(), help="only these packages")
    listing.add_argument("--subtests", action="store_true", help="print subtests as well")
    listing.set_defaults(handler=_list)
    laboratory.add_subcommands(commands)
    return top


def _add_run(run: argparse.ArgumentParser) -> None:
    run.set_defaults(handler=_run)
    what = run.add_argument_group("what to run")
    what.add_argument(
        "--run", dest="pattern", metavar="REGEX", help="only tests that match, as for go test -run"
    )
    what.add_argument(
        "--package", dest="packages", type=_names, default=(), metavar="NAMES", help="such as csapi,msc3902"
    )
    what.add_argument("--complement", type=Path, metavar="DIR", help="a checkout of the suite")
    what.add_argument("--allow-missing", action="store_true", help="exit with 0 where there is no checkout")
    what.add_argument(
        "--rerun-failures", action="store_true", help="run failures again; a pass then is flaky"
    )
    how = run.add_argument_group("how to run it")
    how.add_argument("--engine", choices=("process", "docker"), default="process")
    how.add_argument("--database", choices=("sqlite", "postgresql", "mysql"), default="sqlite")
    how.add_argument("--database-url", metavar="URL", help="an administrator's URL of a running server")
    how.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 1) // 2), help="packages at once")
    how.add_argument("--timeout", type=int, default=1800, metavar="SECONDS", help="for each package")
    how.add_argument("--schema-check", action=argparse.BooleanOptionalAction, default=True)
    server = run.add_argument_group("what to run it against")
    server.add_argument(
        "--recipe", default="palpo", metavar="NAME|FILE", help=f"{', '.join(shipped())}, or a recipe's file"
    )
    server.add_argument("--image", help="the Docker image under test, instead of building the recipe's")
    server.add_argument(
        "--other",
        metavar="OTHER",
        help="what hs2 is: runs the tests of two servers, and keeps what comes of it as the pair's",
    )
    server.add_argument(
        "--hs-image",
        dest="images",
        type=_pair,
        action="append",
        default=[],
        metavar="HS=OTHER",
        help="another for one server",
    )
    server.add_argument("--server-name", help="what the results call it (default: as the recipe does)")
    server.add_argument("--server-commit", help="what was tested (default: what the recipe says)")
    output = run.add_argument_group("what to keep")
    output.add_argument("--output", type=Path, default=laboratory.OUTPUT, metavar="DIR")
    output.add_argument("--update-results", action="store_true", help="write the committed results too")
    output.add_argument("--results", type=Path, default=laboratory.RESULTS, metavar="DIR")
    output.add_argument("--keep-logs", action="store_true", help="keep every server's log and records")
    output.add_argument("--debug", action="store_true", help="have the suite log requests and responses")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)


def _pair(text: str) -> tuple[str, str]:
    name, equals, image = text.partition("=")
    if not (name and equals and image):
        raise argparse.ArgumentTypeError(f"{text} is not HS=IMAGE")
    return name, image


def options_of(parsed: argparse.Namespace) -> RunOptions:
    """The options of a parsed `run`, whose arguments are named after them."""
    given = {field.name: getattr(parsed, field.name) for field in fields(RunOptions)}
    kept = parsed.results if parsed.update_results else None
    return RunOptions(**{**given, "images": tuple(parsed.images), "results": kept})


def _run(parsed: argparse.Namespace) -> int:
    try:
        run = uvloop.run(_until_stopped(options_of(parsed)))
    except NotRun as error:
        print(f"Complement was not run: {error}")
        return 0 if parsed.allow_missing else NOT_RUN
    except (SetupFailed, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("Interrupted: the run does not count.", file=sys.stderr)
        return 130
    return _conclude(run, parsed.output)


async def _until_stopped(options: RunOptions) -> Run:
    """Run; SIGTERM ends it as an interrupt does, with its servers and its files."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await conformance_run(options)


def _conclude(run: Run, output: Path) -> int:
    failed = sorted({(result.package, result.top) for result in run.results if result.status is Status.FAIL})
    for package, test in failed:
        path = output / log_path(package, test)
        # Of a few failures the reasons are shown; of many only where to find them.
        if len(failed) <= FEW and path.exists():
            for line in reasons(path.read_text(encoding="utf-8", errors="replace")):
                print(line)
        print(path)
    counts = status_counts(run.results)
    print(", ".join(f"{number} {word.replace('_', ' ')}" for word, number in counts.items()))
    return 1 if failed else 0


def reasons(log: str) -> list[str]:
    """What a failed test's log says of its failures: what the suite printed in red, and each `--- FAIL`.

    Lines are cut to 300 characters, since the suite prints whole responses.
    """
    found = "\n".join(match.group(0).replace("\x1b[31m", "") for match in _FAILURE.finditer(log)).splitlines()
    lines = found or [line for line in log.splitlines() if _SAID.match(line)][-10:]
    return [line if len(line) <= WIDTH else f"{line[:WIDTH]}…" for line in lines]


def _list(parsed: argparse.Namespace) -> int:
    suite = load_suite()
    try:
        packages = resolve_packages(parsed.package, suite.packages()) or suite.packages()
    except UnknownPackage as error:
        print(error, file=sys.stderr)
        return 2
    for test in suite.tests:
        if test.package in packages:
            for row in test.rows() if parsed.subtests else [test.test]:
                print(f"{test.package} {row}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
