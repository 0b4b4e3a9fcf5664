"""The file of a SQLite database."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit


def sqlite_path(url: str) -> Path:
    """The file of a ``sqlite:///path`` URL; raises ValueError where it names none."""
    parts = urlsplit(url)
    if parts.netloc or len(parts.path) < 2:
        raise ValueError("a SQLite URL is sqlite:///relative/path or sqlite:////absolute/path")
    return Path(unquote(parts.path[1:]))
