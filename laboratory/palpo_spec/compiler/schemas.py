"""JSON schemas without their prose: references become names in one shared `$defs`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from palpo_spec.compiler.source import Location, Source, SourceError, resolve

_SCALARS = frozenset(
    {
        "type",
        "enum",
        "const",
        "pattern",
        "format",
        "required",
        "default",
        "deprecated",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "uniqueItems",
        "minProperties",
        "maxProperties",
        "x-addedInMatrixVersion",
        "x-pattern-format",
    }
)
_ONE = frozenset(
    {"items", "additionalProperties", "unevaluatedProperties", "propertyNames", "not", "contains"}
)
_MANY = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_NAMED = frozenset({"properties", "patternProperties"})
_PROSE = frozenset(
    {"description", "title", "summary", "example", "examples", "$schema", "$id", "$comment", "externalDocs"}
)
_LAYOUT = frozenset({"x-weight"})
_CHANGED = "x-changedInMatrixVersion"


def definition_name(location: Location) -> str:
    """A `$defs` name for a place: the file's path without what all paths share, then the last pointer key."""
    path = location.path.removesuffix(".yaml").removeprefix("api/")
    path = re.sub("^event-schemas/(schema/)?", "event/", path)
    parts = [part for part in path.split("/") if part != "definitions"]
    if location.pointer:
        parts.append(location.pointer.rsplit("/", 1)[-1])
    return ".".join(parts)


def _flatten(stripped: dict[str, Any]) -> None:
    """An `allOf` of one reference is the reference; parts that only held prose say nothing."""
    parts = [part for part in stripped.pop("allOf") if part]
    if len(parts) == 1 and set(parts[0]) == {"$ref"} and "$ref" not in stripped:
        stripped["$ref"] = parts[0]["$ref"]
    elif parts:
        stripped["allOf"] = parts


@dataclass(slots=True, kw_only=True)
class SchemaCollector:
    """Strips schemas and gathers what they refer to under `definitions`, each once."""

    source: Source
    definitions: dict[str, Any] = field(default_factory=dict)
    _places: dict[str, Location] = field(default_factory=dict)
    _by_content: dict[str, str] = field(default_factory=dict)

    def strip(self, schema: Any, path: str) -> Any:
        """`schema`, found in the file `path`, with only what constrains values. Booleans pass through."""
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, dict):
            raise SourceError(f"{path}: not a schema: {str(schema)[:80]}")
        stripped: dict[str, Any] = {}
        for keyword, value in schema.items():
            self._keyword(stripped, keyword, value, path)
        if "allOf" in stripped:
            _flatten(stripped)
        if schema.get("nullable") is True and isinstance(stripped.get("type"), str):
            stripped["type"] = [stripped["type"], "null"]  # OpenAPI 3.0's way to say it.
        return stripped

    def _keyword(self, stripped: dict[str, Any], keyword: str, value: Any, path: str) -> None:
        if keyword == "$ref":
            stripped["$ref"] = self.reference(value, path)
        elif keyword in _SCALARS:
            stripped[keyword] = value
        elif keyword == _CHANGED:
            stripped[keyword] = sorted(value)
        elif keyword in _ONE:
            stripped[keyword] = self.strip(value, path)
        elif keyword in _MANY:
            stripped[keyword] = [self.strip(part, path) for part in value]
        elif keyword in _NAMED:
            stripped[keyword] = {name: self.strip(part, path) for name, part in value.items()}
        elif keyword not in _PROSE | _LAYOUT | {"nullable"}:
            raise SourceError(f"{path}: unknown schema keyword {keyword!r}")

    def reference(self, reference: str, path: str) -> str:
        """The `#/$defs/...` reference that stands for `reference`, defining its target if it is new."""
        location = resolve(reference, path)
        name = definition_name(location)
        if self._places.setdefault(name, location) != location:
            raise SourceError(f"two places are named {name}: {location} and {self._places[name]}")
        if name not in self.definitions:
            self.definitions[name] = {}  # Stands in while a schema that refers to itself is stripped.
            self.definitions[name] = self.strip(self.source.at(location), location.path)
        return f"#/$defs/{name}"

    def body(self, schema: Any, path: str, name: str) -> dict[str, Any]:
        """A request or response schema: itself when it is tiny, else a reference to a definition.

        Bodies that are the same share one definition, named after the first of them.
        """
        stripped: dict[str, Any] = self.strip(schema, path)
        text = json.dumps(stripped, sort_keys=True)
        if len(text) <= 80:
            return stripped
        known = self._by_content.setdefault(text, name)
        if known == name:
            if name in self.definitions:
                raise SourceError(f"two bodies are named {name}")
            self.definitions[name] = stripped
        return {"$ref": f"#/$defs/{known}"}
