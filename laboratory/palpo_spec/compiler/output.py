"""What the compiler writes: names, form and comparison of the files under `palpo_spec/data/`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from palpo_spec.compiler.events import EventCompiler
from palpo_spec.compiler.operations import OperationCompiler
from palpo_spec.compiler.schemas import SchemaCollector
from palpo_spec.compiler.source import Source, SourceError

DATA = Path(__file__).resolve().parent.parent / "data"


def compile_source(root: Path) -> dict[str, Any]:
    """File name to JSON value, for the `data/` folder at `root`; `SourceError` on another shape."""
    if not (root / "api").is_dir():
        raise SourceError(f"{root} holds no api/ folder: give the path of the specification's data/ folder")
    source = Source(root=root)
    schemas = SchemaCollector(source=source)
    operations = OperationCompiler(source, schemas).compile()
    events = EventCompiler(source, schemas).compile()
    return {
        "operations.json": operations,
        "schemas.json": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$defs": schemas.definitions,
        },
        "events.json": events,
        "formats.json": sorted(source.document("string-formats.yaml")),
    }


def render(value: Any) -> str:
    """The committed form: keys sorted, one value a line, so that a new version shows as a readable diff."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def differences(old: Any, new: Any, place: str = "") -> Iterator[str]:
    """One line for each value that was added, removed or changed between two JSON values."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            inner = f"{place}/{key}"
            if key not in new:
                yield f"- {inner}"
            elif key not in old:
                yield f"+ {inner}"
            else:
                yield from differences(old[key], new[key], inner)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from differences(before, after, f"{place}/{index}")
    elif old != new:
        yield f"~ {place}: {_short(old)} -> {_short(new)}"


def keyed(name: str, value: Any) -> Any:
    """Operations by API, method, path and ID, so that one that moved in the list compares with itself."""
    if name != "operations.json":
        return value
    return {f"{o['api']} {o['method']} {o['path']} {o['id']}": o for o in value}


def _short(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return text if len(text) <= 60 else f"{text[:57]}..."
