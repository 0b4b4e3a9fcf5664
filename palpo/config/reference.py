"""Writes ``docs/configuration.md`` from the model: ``python -m palpo.config.reference FILE``."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from palpo.config.marks import LIVE, SECRET
from palpo.config.model import Config
from palpo.config.section import Section

HEADER = """\
# Configuration

A TOML file, `palpo serve --config FILE`; `palpo start` makes one. `--config` may be given several times, also
with a folder, of which all `*.toml` count, in the order of their names: of two files that have a setting the
later one wins, and a list takes the place of the one before. Any setting can be given in the environment too,
with two underscores between a table and its key (`PALPO_CONFIG_DATABASE__URL`), and on the command line
(`--set log.level=debug`), which wins over both. A list is written as in TOML there
(`--set 'admins=["@alice:example.org"]'`). Relative paths start at the folder in which the server is started.
A setting that cannot be used stops the start, and the message names it.

A secret may stand in a file of its own: `NAME_file` names it instead of `NAME`, wherever a setting can be
given (`database.url_file = "/run/secrets/database"`, `PALPO_CONFIG_EMAIL__PASSWORD_FILE`).

`palpo config show` says what is set, and where, `palpo config explain NAME` what a setting means,
`palpo config check` whether all of it can be used. `palpo config set NAME VALUE` and `unset NAME` change the
file, whose comments stay. What a reload takes over is in force after `palpo server reload`, or SIGHUP; all
else after a restart.

This page is made from `palpo/config/model.py` by `python -m palpo.config.reference docs/configuration.md`.
"""
MARKS = {SECRET: "*A secret.*", LIVE: "*A reload takes it over.*"}


def reference() -> str:
    """The whole page."""
    lines = [HEADER, "## Top level", "", *_table(Config)]
    for name, section in _sections(Config):
        live = ["", "A reload takes over all of it."] if _is_live(name) else []
        lines += ["", f"## `[{name}]`", "", inspect.getdoc(section) or "", *live, "", *_table(section)]
    return "\n".join(lines) + "\n"


def _sections(model: type[Section], prefix: str = "") -> Iterator[tuple[str, type[Section]]]:
    for field in msgspec.structs.fields(model):
        kind = _plain(get_type_hints(model)[field.name])
        if _is_section(kind) and not _is_inline(kind):
            yield f"{prefix}{field.name}", kind
            yield from _sections(kind, f"{prefix}{field.name}.")
        elif get_origin(kind) is tuple and _is_section(get_args(kind)[0]):
            yield f"[{prefix}{field.name}]", get_args(kind)[0]


def _is_live(name: str) -> bool:
    return "." not in name and LIVE in get_args(get_type_hints(Config, include_extras=True).get(name))[1:]


def _table(model: type[Section]) -> list[str]:
    hints = get_type_hints(model, include_extras=True)
    rows = ["| setting | type | default | |", "| --- | --- | --- | --- |"]
    for field in msgspec.structs.fields(model):
        hint = hints[field.name]
        kind = _plain(hint)
        if _is_section(kind) and not _is_inline(kind):
            continue
        if get_origin(kind) is tuple and _is_section(get_args(kind)[0]):
            continue
        default = "" if field.default is msgspec.NODEFAULT else f"`{_toml(field.default)}`"
        rows.append(f"| `{field.name}` | {type_name(kind)} | {default} | {_description(hint)} |")
    return rows if len(rows) > 2 else []


def _plain(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Section)


def _is_inline(kind: type[Section]) -> bool:
    """Whether a table is shown in one line: one whose keys have no defaults of their own."""
    return all(field.required for field in msgspec.structs.fields(kind))


def _description(hint: Any) -> str:
    if get_origin(hint) is not Annotated:
        return ""
    said = [meta.description for meta in get_args(hint)[1:] if isinstance(meta, Meta) and meta.description]
    said += [words for mark, words in MARKS.items() if mark in get_args(hint)[1:]]
    return " ".join(said)


def type_name(kind: Any) -> str:
    """What a setting's type is called."""
    names = {str: "text", int: "integer", float: "number", bool: "boolean", Path: "path"}
    if get_origin(kind) is tuple:
        return f"list of {type_name(get_args(kind)[0])}"
    if get_origin(kind) is dict or _is_section(kind):
        return "table"
    if kind in names:
        return names[kind]
    options = [item for item in get_args(kind) if item is not type(None)]
    return " or ".join(names.get(item, str(item)) for item in options) or str(kind)


def _toml(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, Section):
        pairs = msgspec.structs.asdict(value).items()
        return "{ " + ", ".join(f"{name} = {_toml(item)}" for name, item in pairs) + " }"
    return msgspec.json.encode(value if not isinstance(value, Path) else str(value)).decode()


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference())
