"""Every setting that there is: what it means, whether it is a secret, and whether a reload takes it over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from palpo.config.marks import LIVE, SECRET
from palpo.config.model import Config
from palpo.config.section import Section

Where = tuple[str, ...]
"""The names of a setting's tables, and its own."""
HIDDEN = "(hidden)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One of them; a list of tables is one."""

    where: Where
    kind: Any
    """Its type."""
    description: str
    default: Any
    """``msgspec.NODEFAULT`` where it has to be set."""
    secret: bool
    live: bool

    @property
    def name(self) -> str:
        """As ``log.level``."""
        return ".".join(self.where)


@cache
def settings() -> dict[Where, Setting]:
    """All of them, in the model's order."""
    return {setting.where: setting for setting in _settings(Config, (), live=False)}


def value_of(config: Config, where: Where) -> Any:
    """A setting's value."""
    value: Any = config
    for name in where:
        value = getattr(value, name)
    return value


def shown_value(config: Config, setting: Setting) -> Any:
    """A setting's value, as plain JSON, without secrets."""
    value = value_of(config, setting.where)
    if setting.secret:
        return HIDDEN if value else value
    kind = _element(setting.kind)
    if _is_section(kind):
        secrets = {name for name, hint in _hints(kind).items() if SECRET in _marks(hint)}
        return [
            {name: HIDDEN if name in secrets and item else item for name, item in table.items()}
            for table in msgspec.to_builtins(value, enc_hook=str)
        ]
    return msgspec.to_builtins(value, enc_hook=str)


def changed(before: Config, after: Config) -> list[Setting]:
    """Those that differ."""
    return [
        setting for where, setting in settings().items() if value_of(before, where) != value_of(after, where)
    ]


def live_parts(before: Section, after: Section, *, live: bool = False) -> dict[str, Any]:
    """The fields of ``before``, with all that a reload takes over as it is in ``after``."""
    found: dict[str, Any] = {}
    for name, hint in _hints(type(before)).items():
        old, new = getattr(before, name), getattr(after, name)
        is_live = live or LIVE in _marks(hint)
        if is_live or old == new:
            found[name] = new if is_live else old
        elif isinstance(old, Section):
            found[name] = msgspec.structs.replace(old, **live_parts(old, new))
        else:
            found[name] = old
    return found


def secret_of(table: type[Section] | None, name: str) -> str | None:
    """The secret whose file a setting ``NAME_file`` names."""
    if table is None or not name.endswith("_file"):
        return None
    hints, secret = _hints(table), name.removesuffix("_file")
    return secret if name not in hints and secret in hints and SECRET in _marks(hints[secret]) else None


def table_at(table: type[Section] | None, name: str) -> type[Section] | None:
    """The table that a setting is, or that the items of its list are."""
    kind = None if table is None else _element(_hints(table).get(name))
    return kind if _is_section(kind) else None


def required(table: type[Section]) -> list[str]:
    """What has to be set of a table, if anything is."""
    return [field.name for field in msgspec.structs.fields(table) if field.required]


def _settings(model: type[Section], prefix: Where, *, live: bool) -> Iterator[Setting]:
    hints = _hints(model)
    for field in msgspec.structs.fields(model):
        hint = hints[field.name]
        where, kind, is_live = (*prefix, field.name), _plain(hint), live or LIVE in _marks(hint)
        if _is_section(kind):
            yield from _settings(kind, where, live=is_live)
            continue
        metas = [item for item in _marks(hint) if isinstance(item, Meta) and item.description]
        yield Setting(
            where=where,
            kind=kind,
            description=" ".join(str(item.description) for item in metas),
            default=_default(field),
            secret=SECRET in _marks(hint),
            live=is_live,
        )


@cache
def _hints(model: type[Section]) -> dict[str, Any]:
    hints = get_type_hints(model, include_extras=True)
    return {field.name: hints[field.name] for field in msgspec.structs.fields(model)}


def _marks(hint: Any) -> tuple[Any, ...]:
    return get_args(hint)[1:] if get_origin(hint) is Annotated else ()


def _plain(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _element(hint: Any) -> Any:
    kind = _plain(hint)
    return get_args(kind)[0] if get_origin(kind) is tuple else kind


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Section)


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default
