"""Reads the configuration: a TOML file, then ``PALPO_…`` variables, then what the caller overrides.

``PALPO_CONFIG_DATABASE__URL`` sets ``url`` in ``[database]``: two underscores go one table down. A list is
written as in TOML.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from palpo.config.checks import problems
from palpo.config.errors import ConfigError
from palpo.config.explain import explain, shown
from palpo.config.model import Config

PREFIX = "PALPO_CONFIG_"


def load(
    path: Path | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Config:
    """The configuration from all its sources; raises ConfigError, which names the one that is wrong."""
    values = {} if path is None else _read(path)
    given: dict[tuple[str, ...], str] = {}
    for name, value in (environment or {}).items():
        if name.startswith(PREFIX):
            where = tuple(name.removeprefix(PREFIX).lower().split("__"))
            given[where] = f"{name} in the environment"
            _set(values, where, value, given[where])
    for name, value in (overrides or {}).items():
        where = tuple(name.split("."))
        given[where] = f"--set {name}"
        _set(values, where, value, given[where])
    return convert(values, path=path, given=given)


def convert(
    values: Mapping[str, Any], *, path: Path | None = None, given: Mapping[tuple[str, ...], str] | None = None
) -> Config:
    """Check ``values`` against the model; raises ConfigError.

    They are from the file ``path``, except for the settings ``given`` from elsewhere, which it says.
    """

    try:
        config = msgspec.convert(values, Config, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as error:
        where, what = explain(error, values)
        if path is None and where in (("server_name",), ("data",)):
            what = f"{what}: by --config FILE, or --set {where[0]}=…"
        raise ConfigError(_blamed([(where, what)], path, given or {})) from error
    wrong = [problem.partition(": ") for problem in problems(config)]
    if wrong:
        found = [(tuple(name.split(".")), what) for name, _, what in wrong]
        raise ConfigError(_blamed(found, path, given or {}))
    return config


def _blamed(
    wrong: Iterable[tuple[tuple[str, ...], str]], path: Path | None, given: Mapping[tuple[str, ...], str]
) -> str:
    """What is wrong, in one line, with where it was set."""
    said: dict[str, list[str]] = {}
    for where, what in wrong:
        setting = next((item for item in given if where[: len(item)] == item), ())
        source = given.get(setting, str(path) if path is not None else "")
        if source.startswith(PREFIX):
            what = re.sub("(?<=did you mean )[a-z0-9_.]+", _variable, what)
        text = what if where == setting else f"{shown(where)}: {what}"
        said.setdefault(source, []).append(text)
    return "; ".join(f"{source}: {'; '.join(texts)}".removeprefix(": ") for source, texts in said.items())


def _variable(setting: re.Match[str]) -> str:
    return PREFIX + setting[0].upper().replace(".", "__")


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: it is not UTF-8 text") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: it is not TOML: {error}") from error


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
