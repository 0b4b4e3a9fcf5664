"""The compiled data: sound schemas, no prose, complete references."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import palpo_spec
import pytest
from jsonschema import Draft202012Validator
from palpo_spec.compiler.output import render
from palpo_spec.store import references

DATA = files("palpo_spec").joinpath("data")
JSON_FILES = ("operations.json", "schemas.json", "events.json", "formats.json")
PROSE = {"description", "title", "summary", "example", "examples", "$comment"}


def load(name: str) -> Any:
    return json.loads(DATA.joinpath(name).read_text(encoding="utf-8"))


def top_schemas() -> Iterator[tuple[str, Any]]:
    yield from load("schemas.json")["$defs"].items()
    for op in load("operations.json"):
        name = f"{op['api']}.{op['id']}"
        yield from ((f"{name} {p['name']}", p["schema"]) for p in op["parameters"])
        bodies = [*op["responses"].items(), *([("request", op["request"])] if "request" in op else [])]
        yield from ((f"{name} {status}", body["schema"]) for status, body in bodies if "schema" in body)
    events = load("events.json")
    for type_, event in {**events["events"], **events["edus"]}.items():
        yield from ((f"{type_} {key}", event[key]) for key in ("content", "state_key") if key in event)
        yield from ((f"{type_} {name}", schema) for name, schema in event.get("variants", {}).items())


def subschemas(schema: Any) -> Iterator[dict[str, Any]]:
    """Every schema within `schema`, telling keywords from properties that have a keyword's name."""
    if not isinstance(schema, dict):
        return
    yield schema
    for keyword, value in schema.items():
        if keyword in {"properties", "patternProperties"}:
            parts = list(value.values())
        elif keyword in {"allOf", "anyOf", "oneOf", "prefixItems"}:
            parts = value
        elif keyword in {"items", "additionalProperties", "propertyNames", "not"}:
            parts = [value]
        else:
            continue
        for part in parts:
            yield from subschemas(part)


@pytest.mark.parametrize("name", JSON_FILES)
def test_files_are_in_the_compilers_form(name: str) -> None:
    text = DATA.joinpath(name).read_text(encoding="utf-8")
    assert render(json.loads(text)) == text
    assert len(text) < 500_000


def test_every_schema_is_a_valid_schema() -> None:
    for name, schema in top_schemas():
        try:
            Draft202012Validator.check_schema(schema)
        except Exception as error:
            raise AssertionError(name) from error


def test_schemas_hold_no_prose() -> None:
    for name, schema in top_schemas():
        for part in subschemas(schema):
            assert not PROSE & part.keys(), name
            assert all(len(value) < 200 for value in part.values() if isinstance(value, str)), name


def test_every_reference_resolves_and_every_definition_is_used() -> None:
    definitions = palpo_spec.definitions()
    used: set[str] = set()
    for _, schema in top_schemas():
        used |= references(schema)
    assert used == set(definitions)


def test_required_properties_of_objects_are_named_as_lists_of_strings() -> None:
    for name, schema in top_schemas():
        for part in subschemas(schema):
            required = part.get("required", [])
            assert isinstance(required, list), name
            assert all(isinstance(key, str) for key in required), name


def test_operations_of_each_api_are_all_there() -> None:
    counts = Counter(op.api for op in palpo_spec.operations())
    assert counts == {
        "client-server": 166,
        "server-server": 36,
        "application-service": 9,
        "identity": 23,
        "push-gateway": 1,
    }
    assert sum(counts.values()) == 235


def test_operation_ids_are_unique_within_an_api() -> None:
    ids = Counter((op.api, op.operation_id) for op in palpo_spec.operations())
    assert [key for key, count in ids.items() if count > 1] == []


def test_two_operations_share_a_path_twice() -> None:
    lines = Counter((op.api, op.method, op.path) for op in palpo_spec.operations())
    assert [key for key, count in lines.items() if count > 1] == [
        ("client-server", "GET", "/_matrix/client/v3/events"),
        ("client-server", "POST", "/_matrix/client/v3/rooms/{roomId}/invite"),
    ]


def test_path_parameters_are_those_of_the_template() -> None:
    for op in palpo_spec.operations():
        in_path = {segment[1:-1] for segment in op.path.split("/") if segment.startswith("{")}
        assert in_path == {p.name for p in op.parameters if p.place == "path"}, op.path


def test_version_names_a_commit() -> None:
    version = palpo_spec.version()
    assert version["version"] == "v1.19"
    assert len(version["commit"]) == 40
