"""Reads the configuration: a TOML file, then ``PALPO_…`` variables, then what the caller overrides.

``PALPO_CONFIG_DATABASE__URL`` sets ``url`` in ``[database]``: two underscores go one table down. A list is
written as in TOML.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from palpo.config.checks import problems
from palpo.config.errors import ConfigError
from palpo.config.model import Config

__all__ = ["ConfigError", "convert", "load"]

PREFIX = "PALPO_CONFIG_"


def load(
    path: Path | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Config:
    """The configuration from all its sources; raises ConfigError."""
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(path.read_text())
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: {error}") from error
    for name, value in (environment or {}).items():
        if name.startswith(PREFIX):
            _set(values, name.removeprefix(PREFIX).lower().split("__"), _parsed(name, value))
    for name, value in (overrides or {}).items():
        _set(values, name.split("."), _parsed(name, value))
    return convert(values)


def convert(values: Mapping[str, Any]) -> Config:
    """Check ``values`` against the model; raises ConfigError."""
    try:
        config = msgspec.convert(values, Config, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise ConfigError(str(error)) from error
    wrong = "; ".join(problems(config))
    if wrong:
        raise ConfigError(wrong)
    return config


def _decode(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise NotImplementedError(kind)


def _parsed(name: str, value: Any) -> Any:
    """A list that was given as text; anything else as it is, for the model's types to read."""
    if not isinstance(value, str) or not value.startswith("["):
        return value
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name}: {error}") from error


def _set(values: dict[str, Any], names: list[str], value: Any) -> None:
    for name in names[:-1]:
        nested = values.setdefault(name, {})
        if not isinstance(nested, dict):
            raise ConfigError(f"{name} is not a table")
        values = nested
    values[names[-1]] = value
