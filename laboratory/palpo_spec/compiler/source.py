"""A checkout of the specification's `data/` folder: files parsed once, references resolved by position."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import yaml

from palpo_spec.compiler.corrections import CORRECTIONS, apply_corrections


class SourceError(Exception):
    """The checkout doesn't have the shape the compiler knows."""


class _Loader(yaml.SafeLoader):
    """YAML 1.1 without timestamps, so that every scalar is one JSON knows."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A place in the data: `path` relative to the root, `pointer` a JSON pointer ("" is the whole file)."""

    path: str
    pointer: str = ""


def _normalise(path: PurePosixPath) -> str:
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            if not parts:
                raise SourceError(f"reference leaves the checkout: {path}")
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def resolve(reference: str, base: str) -> Location:
    """Where `reference`, found in the file `base`, points to."""
    file, _, fragment = reference.partition("#")
    target = base if not file else _normalise(PurePosixPath(base).parent / file)
    return Location(path=target, pointer=unquote(fragment))


def pointed(document: Any, pointer: str) -> Any:
    """The value at a JSON pointer; `SourceError` when there is none."""
    value = document
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        try:
            value = value[int(key)] if isinstance(value, list) else value[key]
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise SourceError(f"nothing at {pointer}") from error
    return value


@dataclass(slots=True, kw_only=True)
class Source:
    """Parsed files of one checkout, with the corrections applied as each file is first read."""

    root: Path
    _files: dict[str, Any] = field(default_factory=dict)

    def document(self, path: str) -> Any:
        """The parsed file at `path` (relative, with forward slashes)."""
        if path not in self._files:
            file = self.root / path
            if not file.is_file():
                raise SourceError(f"no such file in the checkout: {path}")
            document = yaml.load(file.read_text(encoding="utf-8"), Loader=_Loader)
            apply_corrections(document, [c for c in CORRECTIONS if c.file == path])
            self._files[path] = document
        return self._files[path]

    def at(self, location: Location) -> Any:
        """The value at `location`."""
        return pointed(self.document(location.path), location.pointer)

    def paths(self, pattern: str) -> Iterator[str]:
        """Relative paths of the files that match a glob, sorted."""
        for file in sorted(self.root.glob(pattern)):
            yield file.relative_to(self.root).as_posix()
