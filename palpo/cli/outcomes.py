"""What a command has done, whoever did it: the server that runs, or the command's own process."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from palpo.core.records.jobs import Job

Tell = Callable[[str], None]
"""Takes a line that says how far something is."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is printed: ``text`` for people, or with ``--json`` what ``data`` is as JSON.

    ``status`` is the exit status. With a ``job``, what it comes to is waited for.
    """

    text: str
    data: Any = None
    status: int = 0
    job: Job | None = None


def done(text: str, **data: Any) -> Outcome:
    """Something has been done; ``data`` says to what."""
    return Outcome(text, data)


def add_json(parser: argparse.ArgumentParser) -> None:
    """``--json``."""
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def show(outcome: Outcome, *, as_json: bool) -> int:
    """Print it; the exit status."""
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(outcome.data, enc_hook=str)).decode())
    elif outcome.text:
        print(outcome.text)
    return outcome.status
