"""Where the configuration is from, and its files as they are changed: in place, with their comments."""

from __future__ import annotations

import os
import secrets
import tomllib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from palpo.config.errors import ConfigError
from palpo.config.loader import Gathered, convert_gathered, gathered
from palpo.config.model import Config
from palpo.config.settings import Where, required, secret_of, settings, table_at, value_of

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class ConfigSource:
    """Files (later ones win), then the environment, then what was said on the command line."""

    paths: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def load(self) -> Config:
        """The configuration as it is there now; raises ConfigError."""
        return convert_gathered(self._gathered())

    def origins(self) -> dict[Where, str]:
        """Where each setting is set that is; raises ConfigError."""
        found = self._gathered()
        files = {where: str(file) for where, file in found.files.items()}
        return {_plain(where): origin for where, origin in {**files, **found.given}.items()}

    def proposed(self, changes: Mapping[Where, Any]) -> Config:
        """The configuration with ``changes`` to its files; None takes a setting out. Raises ConfigError."""
        changes = self._with_siblings(changes)
        texts = {path: _edited(path, some) for path, some in self._by_file(changes).items()}
        return convert_gathered(self._gathered(texts))

    def write(self, changes: Mapping[Where, Any]) -> list[Path]:
        """Change the files, if what they come to can be used; which. Raises ConfigError."""
        changes = self._with_siblings(changes)
        self.proposed(changes)
        by_file = self._by_file(changes)
        for path, some in by_file.items():
            _replace(path, _edited(path, some))
        return list(by_file)

    def _gathered(self, texts: Mapping[Path, str] | None = None) -> Gathered:
        return gathered(self.paths, environment=self.environment, overrides=self.overrides, texts=texts or {})

    def _with_siblings(self, changes: Mapping[Where, Any]) -> dict[Where, Any]:
        """``changes``, and what has to be set beside them, as it is: of a budget both of its numbers."""
        found, config, whole = self._gathered(), self.load(), dict(changes)
        for where in [item for item, value in changes.items() if value is not None and len(item) > 1]:
            table = value_of(config, where[:-1])
            for name in required(type(table)):
                sibling = (*where[:-1], name)
                if sibling not in found.files and sibling not in found.given:
                    whole.setdefault(sibling, getattr(table, name))
        return whole

    def _by_file(self, changes: Mapping[Where, Any]) -> dict[Path, dict[Where, Any]]:
        """The changes of each file: of that which sets the setting last, else of the first."""
        found = self._gathered()
        by_file: dict[Path, dict[Where, Any]] = {}
        for where, value in changes.items():
            for given, source in found.given.items():
                if _plain(given)[: len(where)] == where:
                    raise ConfigError(f"{'.'.join(where)}: it is set by {source}, which files do not change")
            inside = [file for item, file in found.files.items() if _plain(item)[: len(where)] == where]
            file = inside[-1] if inside else found.path
            if file is None:
                raise ConfigError("there is no file to change: name one by --config FILE")
            by_file.setdefault(file, {})[where] = value
            if where not in found.files and (*where[:-1], f"{where[-1]}_file") in found.files:
                by_file[file][*where[:-1], f"{where[-1]}_file"] = None
        return by_file


def known(name: str) -> Where:
    """A setting by its name, ``log.level``; raises ConfigError for one that there is not."""
    where = tuple(name.split("."))
    if any(item[: len(where)] == where for item in settings() if item != where):
        raise ConfigError(f"{name}: it is a table: name one of its settings")
    if where not in settings():
        # The loader says which is the nearest.
        values: dict[str, Any] = {"server_name": "x.example", "data": "data"}
        table = values
        for part in where[:-1]:
            inner = table.setdefault(part, {})
            table = inner if isinstance(inner, dict) else table
        table.setdefault(where[-1], "")
        convert_gathered(Gathered(values=values))
        raise ConfigError(f"{name}: there is no such setting")
    return where


def typed(where: Where, text: str) -> Any:
    """What a person has typed as a setting's value: as in TOML, and text without quotes too.

    Raises ConfigError for what is neither.
    """
    if settings()[where].kind is str and not text.startswith('"'):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        if text[:1] in '[{"':
            raise ConfigError(f"{'.'.join(where)}: {text} is not TOML") from None
        return text


def _plain(where: Where) -> Where:
    """A setting, where its file was named instead."""
    table: Any = Config
    for name in where[:-1]:
        table = table_at(table, name)
    secret = secret_of(table, where[-1])
    return where if secret is None else (*where[:-1], secret)


def _edited(path: Path, changes: Mapping[Where, Any]) -> str:
    """The text of a file with ``changes``, and all else as it is."""
    import tomlkit

    document = tomlkit.parse(path.read_text())
    for where, value in changes.items():
        table: Any = document
        if value is None:
            _remove(document, where)
            continue
        for name in where[:-1]:
            if name not in table:
                table[name] = tomlkit.table()
            table = table[name]
        table[where[-1]] = value
    return tomlkit.dumps(document)


def _remove(table: Any, where: Iterable[str]) -> None:
    *tables, last = where
    for name in tables:
        table = table.get(name, {})
    if last in table:
        del table[last]


def _replace(path: Path, text: str) -> None:
    """Put a new text in a file's place, whole, with its owner and mode; raises ConfigError."""
    path = path.resolve()
    written = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        before = path.stat()
        with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            with suppress(PermissionError):
                os.fchown(file.fileno(), before.st_uid, before.st_gid)
            os.fchmod(file.fileno(), before.st_mode & 0o777)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        written.replace(path)
    except OSError as error:
        written.unlink(missing_ok=True)
        raise ConfigError(f"{path}: {error.strerror}") from error
