"""What the compiler writes: names and form of the files under `palpo_spec/data/`."""

from __future__ import annotations

import json
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
