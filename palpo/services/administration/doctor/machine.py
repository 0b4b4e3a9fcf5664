"""The machine that the server runs on: files, their modes, limits, room on the disk."""

from __future__ import annotations

import resource
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from palpo.config import signing_key
from palpo.config.model import Config
from palpo.services.administration.doctor.checks import Check, ok, problem, warning

FILES = 4096
"""Files and connections that a server should be able to have open."""
GIB = 1024**3
LITTLE, VERY_LITTLE = 5 * GIB, GIB // 2
"""Bytes of a disk that are free."""
OTHERS = 0o077
"""In a mode: what others than its owner may."""


def look_at_machine(config: Config, files: Iterable[Path]) -> Iterator[Check]:
    """What is found; ``files`` are those of the configuration."""
    yield _open_files()
    yield _disk(config.data)
    yield from _modes(config, files)


def _open_files() -> Check:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < FILES:
        advice = f"raise it to {FILES} or more: LimitNOFILE= in systemd's unit, or ulimit -n"
        return warning("open files", f"at most {soft} files and connections at once", advice)
    return ok("open files", f"at most {'any number' if soft == resource.RLIM_INFINITY else soft} at once")


def _disk(folder: Path) -> Check:
    usage = shutil.disk_usage(folder)
    text = f"{usage.free / GIB:.1f} of {usage.total / GIB:.1f} GiB are free in {folder}"
    if usage.free < VERY_LITTLE:
        return problem("disk", text, "make room: a full disk has every request that writes fail")
    if usage.free < LITTLE:
        return warning("disk", text, "make room: palpo media purge-remote --unused 90d, say")
    return ok("disk", text)


def _modes(config: Config, files: Iterable[Path]) -> Iterator[Check]:
    key = config.data / signing_key.FILE_NAME
    if not key.is_file():
        yield warning("signing key", f"there is no {key}", "the first start makes one")
    elif _mode(key) & OTHERS:
        yield problem("signing key", f"others than its owner may use {key}", f"chmod 600 {key}")
    else:
        yield ok("signing key", f"{key} is its owner's only")
    if _mode(config.data) & OTHERS:
        advice = f"chmod 700 {config.data}"
        yield warning("data folder", f"others than its owner may look into {config.data}", advice)
    else:
        yield ok("data folder", f"{config.data} is its owner's only")
    for file in files:
        if file.is_file() and _mode(file) & stat.S_IROTH:
            text = f"everybody on this machine may read {file}"
            yield warning("configuration", text, "there may be secrets in it: chmod o-rwx, or NAME_file")


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
