"""Why a command cannot do what it was asked to, in one line."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from palpo.db.errors import DatabaseError
from palpo.db.sqlite_path import sqlite_path


class Failure(Exception):
    """A command ends; the message says why, and names what it is about."""


def database_failure(url: str, error: DatabaseError) -> Failure:
    """What is wrong with the database at ``url``."""
    reason = _plain(str(error))
    if url.startswith("sqlite:") and ("unable to open" in reason or "readonly" in reason):
        reason = _why_not(sqlite_path(url))
    return Failure(f"database.url: {without_password(url)}: {reason}")


@contextmanager
def told_of(url: str) -> Iterator[None]:
    """Say, where something is wrong with a database, that it is the one at ``url``; raises Failure then."""
    try:
        yield
    except DatabaseError as error:
        raise database_failure(url, error) from error


def without_password(url: str) -> str:
    """A database's URL as it may be shown."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    # Put together by hand: of an empty host, urlunsplit takes the slashes away.
    return f"{parts.scheme}://{user.partition(':')[0]}{at}{host}{parts.path}"


def _plain(text: str) -> str:
    """A driver's message without its numbers and tuples."""
    if number := re.search(r"\[Errno (\d+)\]", text):
        return os.strerror(int(number[1]))
    text = re.sub(r"^\[Errno -?\d+\] ", "", text)
    told = re.fullmatch(r"\((\d+), (['\"])(.*)\2\)", text)
    return told[3] if told else text


def _why_not(file: Path) -> str:
    """Why SQLite cannot open a file."""
    folder = file.absolute().parent
    if not folder.is_dir():
        return f"there is no folder {folder}"
    if file.is_dir():
        return "it is a folder"
    if file.exists() and not os.access(file, os.R_OK | os.W_OK):
        return "it must be readable and writable, and is not"
    return f"no file can be made in {folder}" if not file.exists() else f"{folder} has to be writable"
