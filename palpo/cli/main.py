"""``palpo``: the command line."""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import pkgutil
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from palpo import __version__
from palpo.cli import commands
from palpo.cli.failures import Failure
from palpo.config.errors import ConfigError
from palpo.core.errors import MatrixError
from palpo.db.errors import DatabaseError

INTERRUPTED = 130
"""The exit status of what Ctrl-C ended, by the shells' custom."""
PRIVATE_UMASK = 0o077
"""Whatever is made here is its owner's only: there are messages in it."""
OPTIONAL = {
    "asyncpg": "postgresql",
    "asyncmy": "mysql",
    "redis": "redis",
    "obstore": "s3",
    "sentry_sdk": "sentry",
    "opentelemetry": "tracing",
}
"""Packages that only some configurations need, and the extra that brings them."""
_NO_CHOICE = re.compile(r"argument (?:COMMAND|ACTION): invalid choice: '(.*)' \(choose from (.*)\)")
"""What argparse says of a command that there is not, with all that there are."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the process's exit status: 0, 1 where it failed, 2 where it was asked wrongly."""
    _occupy_standard_descriptors()
    os.umask(PRIVATE_UMASK)
    options = command_line().parse_args(arguments)
    try:
        status: int = options.run(options)
    except ConfigError as error:
        return _fail(str(error), 2)
    except MatrixError as error:
        return _fail(error.message)
    except Failure as error:
        return _fail(str(error))
    except DatabaseError as error:
        return _fail(f"The database: {error}")
    except ModuleNotFoundError as error:
        if error.name not in OPTIONAL:
            raise
        return _fail(f"{error.name} is not installed: pip install 'palpo[{OPTIONAL[error.name]}]'", 2)
    except BrokenPipeError:
        # Whoever read the output has enough; Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        what = ": ".join(str(part) for part in (error.filename, error.strerror) if part)
        return _fail(what or str(error) or type(error).__name__)
    except KeyboardInterrupt:
        return INTERRUPTED
    return status


class Parser(argparse.ArgumentParser):
    """Names the nearest command where there is none of that name."""

    def error(self, message: str) -> NoReturn:
        """End with status 2, and say why."""
        typed, there = found.groups() if (found := _NO_CHOICE.fullmatch(message)) else ("", "")
        if near := difflib.get_close_matches(typed, re.findall(r"[a-z-]+", there), n=1):
            message = f"there is no {typed}; did you mean {near[0]}?"
        super().error(message)


def command_line() -> argparse.ArgumentParser:
    """What can be typed; a command's options have ``run``, which takes them and returns the exit status."""
    parser = Parser(prog="palpo", description="A Matrix homeserver")
    parser.add_argument("--version", action="version", version=f"palpo {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in pkgutil.iter_modules(commands.__path__, f"{commands.__name__}."):
        importlib.import_module(module.name).register(subparsers)
    return parser


def _occupy_standard_descriptors() -> None:
    """Where input, output or error is closed, keep its number from what is opened next: a database, say."""
    descriptor = os.open(os.devnull, os.O_RDWR)
    while descriptor <= 2:
        descriptor = os.open(os.devnull, os.O_RDWR)
    os.close(descriptor)
    # Python has found them closed.
    sys.stdout = sys.stdout or os.fdopen(1, "w")
    sys.stderr = sys.stderr or os.fdopen(2, "w")


def _fail(message: str, status: int = 1) -> int:
    with suppress(OSError):
        print(f"palpo: {message}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
