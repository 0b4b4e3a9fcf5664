"""What is wrong with a value of the configuration, in an operator's words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from palpo.config.model import Config
from palpo.config.section import Section

Path = tuple[str, ...]
"""Where a setting is: the names of its tables and its own; of an array's items, their numbers from 0."""

CHOICES = re.compile(r"\^\(([a-z_|]+)\)\??\$")
KINDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "object": "a table",
    "array": "a list",
    "path": "the path of a file or folder",
    "null": "nothing",
}


def explain(error: msgspec.ValidationError, values: Mapping[str, Any]) -> tuple[Path, str]:
    """The setting that ``error`` is about, and what is wrong with it."""
    text, _, place = str(error).partition(" - at `$")
    where = tuple(re.findall(r"[^.\[\]`]+", place))
    if found := re.fullmatch(r"Object contains unknown field `(.*)`", text):
        where = (*where, found[1])
        return where, f"there is no such setting{_suggestion(where)}"
    if found := re.fullmatch(r"Object missing required field `(.*)`", text):
        return (*where, found[1]), "it has to be set"
    if found := re.fullmatch(r"Expected `(\w+)`, got `(\w+)`", text):
        return where, f"it has to be {KINDS.get(found[1], found[1])}, not {KINDS.get(found[2], found[2])}"
    if found := re.fullmatch(r"Expected `(?:int|float)` ([<>]=?) (\S+)", text):
        words = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}[found[1]]
        return where, f"it has to be {words} {found[2].removesuffix('.0')}"
    if found := re.fullmatch(r"Expected `str` of length <= (\d+)", text):
        return where, f"it has to be at most {found[1]} characters long"
    if text.startswith("Expected `str` matching regex"):
        return where, _form(where, values)
    return where, text


def shown(where: Path) -> str:
    """A setting's name, as ``log.level``, or ``listeners 2: bind`` for the second of several tables."""
    parts: list[str] = []
    for name in where:
        if name.isdigit():
            parts[-1] += f" {int(name) + 1}"
        else:
            parts.append(name)
    text = ".".join(parts)
    return re.sub(r"( \d+)\.", r"\1: ", text)


def _form(where: Path, values: Mapping[str, Any]) -> str:
    """What a text has to look like: one of a few words, or as its description says."""
    meta = _meta(where)
    choices = CHOICES.fullmatch(meta.pattern or "") if meta is not None else None
    if choices is not None:
        value: Any = values
        for name in where:
            value = value[int(name)] if isinstance(value, list | tuple) else value[name]
        return f"{value!r} is none of {', '.join(choices[1].split('|'))}"
    return f"this value cannot be used; wanted: {meta.description if meta else 'another'}"


def _meta(where: Path) -> Meta | None:
    kind: Any = Config
    meta: Meta | None = None
    for name in where:
        if name.isdigit():
            continue
        if not _is_section(kind):
            return meta
        hint = get_type_hints(kind, include_extras=True).get(name)
        meta = next((item for item in get_args(hint) if isinstance(item, Meta)), None)
        kind = _element(hint)
    return meta


def _suggestion(where: Path) -> str:
    """The nearest known setting: in the same table by its name, or with that name elsewhere."""
    table = tuple(name for name in where[:-1] if not name.isdigit())
    known = list(_known(Config, ()))
    beside = [item for item in known if item[:-1] == table]
    if near := get_close_matches(where[-1], [item[-1] for item in beside], 1, 0.7):
        return f"; did you mean {'.'.join((*table, near[0]))}?"
    joined = {"_".join(item): item for item in known}
    if near := get_close_matches("_".join((*table, where[-1])), list(joined), 1, 0.8):
        return f"; did you mean {'.'.join(joined[near[0]])}?"
    elsewhere = [item for item in known if item[-1] == where[-1]]
    return f"; did you mean {'.'.join(elsewhere[0])}?" if elsewhere else ""


def _known(model: type[Section], prefix: Path) -> Iterator[Path]:
    """Every table and setting that there is."""
    for name, hint in get_type_hints(model, include_extras=True).items():
        if name.startswith("__"):
            continue
        yield (*prefix, name)
        kind = _element(hint)
        if _is_section(kind):
            yield from _known(kind, (*prefix, name))


def _element(hint: Any) -> Any:
    """The type behind an annotation, a default of None, and a list."""
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    if get_origin(hint) is tuple:
        hint = get_args(hint)[0]
    return hint


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Section)
