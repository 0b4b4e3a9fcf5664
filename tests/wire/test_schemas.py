"""The types of responses and requests, held to the spec's schemas.

A response's type must have every field that the spec requires, required too, and no field of another type
than the spec says. A request's type must take what the spec allows. What is JSON that has been encoded
before, or any object, says nothing here: live responses are checked while Complement runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import NoneType
from typing import Any

import msgspec
import pytest
from palpo_spec import operations, request_schema, response_schema

from palpo.wire.endpoint import Endpoint, NoBody, Stream
from palpo.wire.registry import endpoints

Schema = dict[str, Any]
SPEC = {(operation.api, operation.operation_id): operation for operation in operations()}
OF_THE_SPEC = [item for item in endpoints() if (item.api, item.operation_id) in SPEC]
TYPES = {"number": {"number", "integer"}, "integer": {"integer", "number"}}


def resolve(schema: Schema, root: Schema) -> Schema:
    """``schema`` with its reference followed, and an optional value as the value."""
    while "$ref" in schema:
        target: Any = root
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        schema = target
    choices = [item for item in schema.get("anyOf", ()) if item != {"type": "null"}]
    if len(choices) == 1 and len(choices) != len(schema["anyOf"]):
        return resolve(choices[0], root)
    return schema


def merged(schema: Schema, root: Schema) -> Schema:
    """``schema`` with what its ``allOf`` adds."""
    schema = resolve(schema, root)
    result: Schema = {**schema, "properties": dict(schema.get("properties", {}))}
    result["required"] = list(schema.get("required", ()))
    for part in schema.get("allOf", ()):
        other = merged(part, root)
        result["properties"] |= other["properties"]
        result["required"] += other["required"]
        result.setdefault("type", other.get("type"))
        if "items" in other:
            result.setdefault("items", other["items"])
    return result


def types(schema: Schema) -> set[str]:
    given = schema.get("type")
    return set() if given is None else {given} if isinstance(given, str) else set(given)


def differences(
    spec: Schema, spec_root: Schema, ours: Schema, our_root: Schema, *, response: bool, where: str = ""
) -> Iterator[str]:
    """Where ``ours`` breaks ``spec``."""
    spec, ours = merged(spec, spec_root), merged(ours, our_root)
    if "oneOf" in spec or "anyOf" in spec or "anyOf" in ours:
        return
    allowed = {name for kind in types(spec) for name in TYPES.get(kind, {kind})}
    if allowed and types(ours) and not types(ours) & allowed:
        yield f"{where or '/'}: {sorted(types(ours))} where the spec has {sorted(types(spec))}"
        return
    if "items" in spec and isinstance(ours.get("items"), dict):
        yield from differences(
            spec["items"], spec_root, ours["items"], our_root, response=response, where=f"{where}/*"
        )
    if not ours["properties"]:
        return
    if response:
        missing = set(spec["required"]) - set(ours["required"])
        yield from (f"{where}/{name}: the spec requires it" for name in sorted(missing))
    else:
        extra = set(ours["required"]) - set(spec["required"])
        yield from (f"{where}/{name}: the spec does not require it" for name in sorted(extra))
    for name, schema in spec["properties"].items():
        if name in ours["properties"]:
            yield from differences(
                schema,
                spec_root,
                ours["properties"][name],
                our_root,
                response=response,
                where=f"{where}/{name}",
            )
        elif not response:
            yield f"{where}/{name}: the request's type does not have it"


def schema_of(type_: Any) -> tuple[Schema, Schema]:
    (schema,), components = msgspec.json.schema_components(
        [type_], ref_template="#/{name}", schema_hook=lambda _: {}
    )
    return schema, components


def name(endpoint: Endpoint[Any, Any, Any]) -> str:
    return endpoint.operation_id


@pytest.mark.parametrize("endpoint", OF_THE_SPEC, ids=name)
def test_responses(endpoint: Endpoint[Any, Any, Any]) -> None:
    spec = response_schema(SPEC[endpoint.api, endpoint.operation_id], 200)
    if spec is None or endpoint.response is Stream:
        return
    ours, root = schema_of(dict if endpoint.response is NoneType else endpoint.response)
    assert list(differences(spec, spec, ours, root, response=True)) == []


@pytest.mark.parametrize("endpoint", OF_THE_SPEC, ids=name)
def test_requests(endpoint: Endpoint[Any, Any, Any]) -> None:
    spec = request_schema(SPEC[endpoint.api, endpoint.operation_id])
    if spec is None or endpoint.body in (Stream, NoBody):
        return
    ours, root = schema_of(endpoint.body)
    assert list(differences(spec, spec, ours, root, response=False)) == []


def test_the_check_can_fail() -> None:
    spec = {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}}
    wrong = {"type": "object", "properties": {"a": {"type": "integer"}}}
    assert len(list(differences(spec, spec, wrong, wrong, response=True))) == 2
    assert list(differences(spec, spec, spec, spec, response=True)) == []
