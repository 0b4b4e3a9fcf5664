"""Whether what the configuration names on this machine is there, or can be made: what a start would meet."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from palpo.config.appservices import load_registrations
from palpo.config.certificates import Certificates
from palpo.config.data_folder import DataFolder
from palpo.config.errors import ConfigError
from palpo.config.model import Config

OWN = ("server_name", "data", "database.url")
"""What makes a server the one that it is: one that runs cannot go on with another."""


def check_places(config: Config) -> None:
    """Raise ConfigError where a start with ``config`` would be refused on this machine.

    The database is not asked, and no port is opened.
    """
    for problem in _folder_problems(config):
        raise ConfigError(problem)
    Certificates(config)
    load_registrations(config.appservices, server_name=config.server_name)


def _folder_problems(config: Config) -> Iterator[str]:
    if why := _why_no_folder(config.data):
        yield f"data: {config.data}: {why}"
    elif config.data.is_dir():
        record = DataFolder(config.data).record()
        if record is not None and record.server_name != config.server_name:
            yield f"data: {config.data} is {record.server_name}'s: name a folder of its own"
    if config.log.file is not None and (why := _why_no_file(config.log.file)):
        yield f"log.file: {config.log.file}: {why}"


def _why_no_folder(path: Path) -> str:
    """Why it is no folder to write into, and cannot be made one; empty where it is, or can."""
    if path.is_dir():
        return "" if os.access(path, os.R_OK | os.W_OK | os.X_OK) else "it has to be readable and writable"
    if path.exists():
        return "it is no folder"
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        return f"it is not there, and cannot be made in {above}"
    return ""


def _why_no_file(path: Path) -> str:
    """Why no file can be written there; empty where one can."""
    if path.exists():
        if path.is_dir():
            return "it is a folder"
        return "" if os.access(path, os.W_OK) else "it has to be writable"
    folder = path.absolute().parent
    if not folder.is_dir():
        return f"there is no folder {folder}"
    return "" if os.access(folder, os.W_OK | os.X_OK) else f"no file can be made in {folder}"
