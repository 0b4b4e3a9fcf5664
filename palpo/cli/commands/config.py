"""``palpo config``: look at the configuration before a start has to, and change it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import msgspec

from palpo.cli.noting import note, register_noted
from palpo.cli.options import add_config, source_of
from palpo.cli.outcomes import Outcome, add_json, done, show
from palpo.config.model import Config
from palpo.config.places import check_places
from palpo.config.reference import type_name
from palpo.config.settings import HIDDEN, Setting, Where, changed, settings, shown_value
from palpo.config.sources import DEFAULT, ConfigSource, known, typed


def register(subparsers: Any) -> None:
    """Add the command."""
    text = "look at the configuration, and change it"
    parser: argparse.ArgumentParser = subparsers.add_parser("config", help=text, description=text)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    _add(
        actions,
        "check",
        _check,
        "say what is wrong with it, and with the files and folders that it names",
    )
    listing = _add(actions, "show", _show, "show what is set, and where; secrets are hidden")
    listing.add_argument("--all", action="store_true", help="with the defaults of all that is not set")
    listing.add_argument("name", nargs="?", default="", metavar="NAME", help="a setting or table, as log")
    explain = _add(actions, "explain", _explain, "say what a setting means")
    change = _add(
        actions, "set", _set, "change a setting in its file, whose comments stay, if the outcome can be used"
    )
    unset = _add(actions, "unset", _unset, "take a setting out of its file, so that its default counts")
    for each in (explain, change, unset):
        each.add_argument("name", metavar="NAME", help="such as log.level")
    change.add_argument("value", metavar="VALUE", help="as in TOML; text needs no quotes")
    for name in ("set", "unset"):
        register_noted(f"config {name}")


def _add(actions: Any, name: str, run: Any, help_text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=help_text, description=help_text)
    add_config(parser)
    add_json(parser)

    def printed(options: argparse.Namespace) -> int:
        return show(run(source_of(options), options), as_json=options.json)

    parser.set_defaults(run=printed)
    return parser


def _check(source: ConfigSource, options: argparse.Namespace) -> Outcome:
    config = source.load()
    check_places(config)
    return done(f"The configuration of {config.server_name} can be used", server_name=config.server_name)


def _show(source: ConfigSource, options: argparse.Namespace) -> Outcome:
    config, origins = source.load(), source.origins()
    rows = [
        _row(config, setting, origins.get(where, DEFAULT))
        for where, setting in settings().items()
        if (options.all or where in origins or _has_inner(origins, where))
        and (not options.name or f"{setting.name}.".startswith(f"{options.name}."))
    ]
    if options.name and not any(
        f"{item.name}.".startswith(f"{options.name}.") for item in settings().values()
    ):
        known(options.name)
    lines = [f"{row['name']} = {_toml(row['value'])}  # {row['source']}" for row in rows]
    return Outcome("\n".join(lines) or "Nothing of it is set", rows)


def _explain(source: ConfigSource, options: argparse.Namespace) -> Outcome:
    setting = settings()[known(options.name)]
    config = source.load()
    row = _row(config, setting, source.origins().get(setting.where, DEFAULT))
    return Outcome("\n".join(_explained(setting, row)), row)


def _explained(setting: Setting, row: dict[str, Any]) -> Iterator[str]:
    yield f"{setting.name} = {_toml(row['value'])}  # {row['source']}"
    yield f"  {setting.description}" if setting.description else "  A list of tables"
    yield f"  It is of type {row['type']}; default: {_toml(row['default'])}"
    if setting.secret:
        yield f"  It is a secret: {setting.name}_file may name a file that has it"
    yield f"  {'A reload takes it over' if setting.live else 'It counts from the next start on'}"


def _set(source: ConfigSource, options: argparse.Namespace) -> Outcome:
    where = known(options.name)
    return _written(source, "set", where, typed(where, options.value))


def _unset(source: ConfigSource, options: argparse.Namespace) -> Outcome:
    return _written(source, "unset", known(options.name), None)


def _written(source: ConfigSource, action: str, where: Where, value: Any) -> Outcome:
    """Change a setting, and write down that it was changed; what came of it."""
    before = source.load()
    check_places(source.proposed({where: value}))
    files = source.write({where: value})
    after, setting = source.load(), settings()[where]
    if not changed(before, after):
        text = f"{setting.name} is as it was"
    elif setting.live:
        text = f"{setting.name} is changed in {files[0]}. A running server takes it over: palpo server reload"
    else:
        text = f"{setting.name} is changed in {files[0]}. It counts from the next start of the server on"
    note(before, f"config {action}", target=setting.name, value=HIDDEN if setting.secret else value)
    return done(text, name=setting.name, file=str(files[0]), reload=setting.live)


def _row(config: Config, setting: Setting, source: str) -> dict[str, Any]:
    default = None if setting.default is msgspec.NODEFAULT else setting.default
    return {
        "name": setting.name,
        "value": shown_value(config, setting),
        "is_set": source != DEFAULT,
        "source": source,
        "default": msgspec.to_builtins(default, enc_hook=str),
        "type": type_name(setting.kind),
        "secret": setting.secret,
        "reload": setting.live,
        "description": setting.description,
    }


def _has_inner(origins: dict[Where, str], where: Where) -> bool:
    """Whether something within a setting that is a table itself is set."""
    return any(item[: len(where)] == where for item in origins)


def _toml(value: Any) -> str:
    if value is None:
        return "none"
    return HIDDEN if value == HIDDEN else msgspec.json.encode(value).decode()
