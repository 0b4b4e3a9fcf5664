"""Files that are never changed once they are there, in a second folder too."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

BLOBS = "blobs"


def link_all(source: Path, target: Path) -> None:
    """Have all content of the media folder ``source`` in ``target`` as well: links, or copies elsewhere.

    What is there already stays, and what is removed meanwhile is passed over.
    """
    for path in _files(source / BLOBS):
        link = target / path.relative_to(source)
        if not link.exists():
            link.parent.mkdir(parents=True, exist_ok=True)
            _link(path, link)


def sizes(folder: Path) -> tuple[int, int]:
    """How many files of content a media folder has, and how many bytes."""
    found = [path.stat().st_size for path in _files(folder / BLOBS)]
    return len(found), sum(found)


def blob(folder: Path, sha256: bytes) -> Path:
    """Where content is in a media folder (``palpo.media.disk_blobs``)."""
    name = sha256.hex()
    return folder / BLOBS / name[:2] / name[2:4] / name


def _files(folder: Path) -> Iterator[Path]:
    for root, _, names in os.walk(folder):
        yield from (Path(root, name) for name in names)


def _link(path: Path, link: Path) -> None:
    try:
        os.link(path, link)
    except FileNotFoundError:
        return
    except OSError:
        # Another disk, or one that has no links.
        aside = link.with_name(f"{link.name}.partial")
        shutil.copyfile(path, aside)
        aside.rename(link)
