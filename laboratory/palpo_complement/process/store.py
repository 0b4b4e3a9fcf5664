"""State directories: copying them, and unpacking into them what Complement sends."""

from __future__ import annotations

import io
import re
import shutil
import tarfile
from pathlib import Path

from .model import EngineError

_LABEL = re.compile(r'^LABEL\s+"((?:[^"\\]|\\.)*)"="((?:[^"\\]|\\.)*)"\s*$', re.DOTALL)
_ESCAPE = re.compile(r'\\(["\\$])')


def copy_tree(source: Path, target: Path) -> None:
    """Copy a state directory, leaving out sockets and the like."""
    shutil.copytree(source, target, symlinks=True, ignore=_special)


def _special(directory: str, names: list[str]) -> list[str]:
    paths = ((name, Path(directory, name)) for name in names)
    return [name for name, path in paths if not (path.is_symlink() or path.is_file() or path.is_dir())]


def remove_tree(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)


def unpack(archive: bytes, root: Path, path: str) -> None:
    """Unpack a tar into `path`, a path of the container whose `/` is `root`.

    Names may be absolute; none may leave the root. Raises EngineError 400 for a bad archive or name.
    """
    base = root / path.lstrip("/")
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            for member in tar:
                relative = member.name.lstrip("/")
                target = (base / relative).resolve()
                if not target.is_relative_to(root.resolve()):
                    raise EngineError(400, f"{member.name} is outside the container")
                target.parent.mkdir(parents=True, exist_ok=True)
                tar.extract(member.replace(name=relative, deep=False), base, filter="data")
    except (tarfile.TarError, OSError) as error:
        raise EngineError(400, f"cannot unpack: {error}") from error


def label_of_change(change: str) -> tuple[str, str]:
    """The key and value of a commit's `LABEL "key"="value"`. Raises EngineError 400 for anything else."""
    match = _LABEL.match(change)
    if match is None:
        raise EngineError(400, f"only LABEL changes are known: {change[:80]}")
    key, value = (_ESCAPE.sub(r"\1", group) for group in match.groups())
    return key, value


def tail(path: Path, size: int = 4096) -> str:
    """The last `size` bytes of a log as text; empty if there is none."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - size))
            return log.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
