"""Reads the configuration: TOML files, then ``PALPO_…`` variables, then what the caller overrides.

``PALPO_CONFIG_DATABASE__URL`` sets ``url`` in ``[database]``: two underscores go one table down. A list is
written as in TOML. For each secret, ``NAME_file`` may name a file that has it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from palpo.config.checks import problems
from palpo.config.errors import ConfigError
from palpo.config.explain import explain, shown
from palpo.config.model import Config
from palpo.config.section import Section
from palpo.config.settings import Where, secret_of, table_at

PREFIX = "PALPO_CONFIG_"


@dataclass(slots=True, kw_only=True)
class Gathered:
    """What all the sources say, before it is looked at."""

    values: dict[str, Any] = field(default_factory=dict)
    path: Path | None = None
    """The first file."""
    files: dict[Where, Path] = field(default_factory=dict)
    """In which file each setting is, if one has it."""
    given: dict[Where, str] = field(default_factory=dict)
    """What is from elsewhere: from where, in words."""


def load(
    path: Path | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Config:
    """The configuration from all its sources; raises ConfigError, which names the one that is wrong."""
    paths = () if path is None else (path,)
    return convert_gathered(gathered(paths, environment=environment or {}, overrides=overrides or {}))


def gathered(
    paths: Sequence[Path],
    *,
    environment: Mapping[str, str],
    overrides: Mapping[str, Any],
    texts: Mapping[Path, str] | None = None,
) -> Gathered:
    """What the sources say: files, and all ``*.toml`` of folders, of which later ones win.

    ``texts`` are what some files would hold instead. Raises ConfigError.
    """
    found = Gathered()
    for path in _files(paths):
        found.path = found.path or path
        _merge(found, found.values, _read(path, (texts or {}).get(path)), (), path)
    for name, value in environment.items():
        if name.startswith(PREFIX):
            where = tuple(name.removeprefix(PREFIX).lower().split("__"))
            found.given[where] = f"{name} in the environment"
            _set(found.values, where, value, found.given[where])
    for name, value in overrides.items():
        where = tuple(name.split("."))
        found.given[where] = f"--set {name}"
        _set(found.values, where, value, found.given[where])
    _fetch_secrets(found.values, Config, "")
    return found


def convert_gathered(found: Gathered) -> Config:
    """Check what the sources say against the model; raises ConfigError."""
    return convert(found.values, path=found.path, given=found.given, files=found.files)


def convert(
    values: Mapping[str, Any],
    *,
    path: Path | None = None,
    given: Mapping[Where, str] | None = None,
    files: Mapping[Where, Path] | None = None,
) -> Config:
    """Check ``values`` against the model; raises ConfigError.

    They are from the file ``path``, except for those of other ``files``, and the settings ``given`` from
    elsewhere, which it says.
    """

    def blamed(wrong: Iterable[tuple[Where, str]]) -> str:
        return _blamed(wrong, path, given or {}, files or {})

    try:
        config = msgspec.convert(values, Config, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as error:
        where, what = explain(error, values)
        if path is None and where in (("server_name",), ("data",)):
            what = f"{what}: by --config FILE, or --set {where[0]}=…"
        raise ConfigError(blamed([(where, what)])) from error
    wrong = [problem.partition(": ") for problem in problems(config)]
    if wrong:
        found = [(tuple(name.split(".")), what) for name, _, what in wrong]
        raise ConfigError(blamed(found))
    return config


def _blamed(
    wrong: Iterable[tuple[Where, str]],
    path: Path | None,
    given: Mapping[Where, str],
    files: Mapping[Where, Path],
) -> str:
    """What is wrong, in one line, with where it was set."""
    said: dict[str, list[str]] = {}
    for where, what in wrong:
        setting = next((item for item in given if where[: len(item)] == item), ())
        file = next((files[item] for item in files if where[: len(item)] == item), path)
        source = given.get(setting, str(file) if file is not None else "")
        if source.startswith(PREFIX):
            what = re.sub("(?<=did you mean )[a-z0-9_.]+", _variable, what)
        text = what if where == setting else f"{shown(where)}: {what}"
        said.setdefault(source, []).append(text)
    return "; ".join(f"{source}: {'; '.join(texts)}".removeprefix(": ") for source, texts in said.items())


def _variable(setting: re.Match[str]) -> str:
    return PREFIX + setting[0].upper().replace(".", "__")


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(path.glob("*.toml"))
        else:
            yield path


def _read(path: Path, text: str | None) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text() if text is None else text)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: it is not UTF-8 text") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: it is not TOML: {error}") from error


def _merge(
    found: Gathered, values: dict[str, Any], more: Mapping[str, Any], prefix: Where, path: Path
) -> None:
    """Add what a file has to ``values``: its tables to those that are there; all else takes its place."""
    for name, value in more.items():
        where = (*prefix, name)
        there = values.get(name)
        if isinstance(value, dict) and (there is None or isinstance(there, dict)):
            _merge(found, values.setdefault(name, {}), value, where, path)
        else:
            values[name] = value
            found.files[where] = path


def _fetch_secrets(values: Any, table: type[Section] | None, prefix: str) -> None:
    """Put the content of the file that ``NAME_file`` names in the place of the secret ``NAME``."""
    for name, value in list(values.items()):
        inner = table_at(table, name)
        if inner is not None:
            for each in value if isinstance(value, list) else (value,):
                if isinstance(each, dict):
                    _fetch_secrets(each, inner, f"{prefix}{name}.")
        secret = secret_of(table, name)
        if secret is not None:
            if secret in values:
                raise ConfigError(f"{prefix}{secret} and {prefix}{name}: only one of them can be set")
            values[secret] = _secret(f"{prefix}{name}", value)
            del values[name]


def _secret(setting: str, file: Any) -> str:
    try:
        return Path(file).read_text().rstrip("\r\n")
    except OSError as error:
        raise ConfigError(f"{setting}: {file}: {error.strerror}") from error
    except (TypeError, UnicodeDecodeError):
        raise ConfigError(f"{setting}: {file}: it has to be a file of UTF-8 text") from None


def _decode(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value)
    names = {int: "int", float: "float", bool: "bool", list: "array", dict: "object"}
    raise TypeError(f"Expected `path`, got `{names.get(type(value), 'str')}`")


def _parsed(value: Any, source: str) -> Any:
    """A list that was given as text; anything else as it is, for the model's types to read."""
    if not isinstance(value, str) or not value.startswith("["):
        return value
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f'{source}: it is no list, such as ["a", "b"]') from error


def _set(values: dict[str, Any], names: tuple[str, ...], value: Any, source: str) -> None:
    for name in names[:-1]:
        nested = values.setdefault(name, {})
        if not isinstance(nested, dict):
            raise ConfigError(f"{source}: {name} has no settings of its own that could be named so")
        values = nested
    values[names[-1]] = _parsed(value, source)
