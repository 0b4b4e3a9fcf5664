"""A backup that is to be put back when the server starts next, and what came of it: files of the data folder.

restore.json    what is to be done; taken away once it is done, or given up
restored.json   what came of the last
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, TypeVar

import msgspec

PLAN: Final = "restore.json"
OUTCOME: Final = "restored.json"
T = TypeVar("T")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done."""

    folder: str
    """Of the backup."""
    requested_by: str
    address: str = ""
    """The client's that asked."""
    log_out: bool = False
    """Whether all sessions end with it."""
    former: str = ""
    """The backup of what is replaced, once that is made: then the database is being filled."""


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a plan."""

    plan: Plan
    ended_ts: int
    """In milliseconds since the Unix epoch."""
    rows: int = 0
    error: str = ""
    """Why nothing was put back; empty where it was."""


def planned(data: Path) -> Plan | None:
    """What is to be done at the next start of the server whose data folder this is."""
    return _read(data / PLAN, Plan)


def plan(data: Path, wanted: Plan) -> None:
    """Have it done."""
    _write(data / PLAN, wanted)


def forget(data: Path) -> None:
    """Have nothing be done."""
    (data / PLAN).unlink(missing_ok=True)


def restored(data: Path) -> Restored | None:
    """What came of the last plan that was carried out, or given up."""
    return _read(data / OUTCOME, Restored)


def finish(data: Path, outcome: Restored) -> None:
    """Say what came of it."""
    _write(data / OUTCOME, outcome)
    forget(data)


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _write(path: Path, what: Plan | Restored) -> None:
    aside = path.with_name(f"{path.name}.partial")
    aside.touch(mode=0o600)
    aside.write_bytes(msgspec.json.format(msgspec.json.encode(what), indent=1))
    aside.rename(path)
