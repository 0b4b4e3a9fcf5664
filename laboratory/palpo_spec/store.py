"""The compiled facts, read from the package's data on first use and kept."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from palpo_spec.model import Body, EventType, Operation, Parameter, Schema

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PREFIX = "#/$defs/"


def _read(name: str) -> str:
    return files("palpo_spec").joinpath("data", name).read_text(encoding="utf-8")


@cache
def _json(name: str) -> Any:
    return json.loads(_read(name))


@cache
def version() -> dict[str, str]:
    """What was compiled: `version` ("v1.19"), `repository` and `commit`."""
    lines = _read("VERSION").splitlines()
    return dict(line.split(": ", 1) for line in lines)


def _body(record: dict[str, Any]) -> Body:
    return Body(
        content_types=tuple(record["content_types"]),
        schema=record.get("schema"),
        required=record.get("required", False),
        headers=tuple(record.get("headers", ())),
    )


def _parameter(record: dict[str, Any]) -> Parameter:
    return Parameter(
        name=record["name"],
        place=record["in"],
        required=record["required"],
        schema=record["schema"],
        added=record.get("added"),
    )


def _operation(record: dict[str, Any]) -> Operation:
    return Operation(
        api=record["api"],
        operation_id=record["id"],
        method=record["method"],
        path=record["path"],
        auth=record["auth"],
        auth_optional=record["auth_optional"],
        rate_limited=record["rate_limited"],
        deprecated=record["deprecated"],
        added=record["added"],
        changed=tuple(record["changed"]),
        parameters=tuple(map(_parameter, record["parameters"])),
        request=_body(record["request"]) if "request" in record else None,
        responses={status: _body(body) for status, body in record["responses"].items()},
    )


@cache
def operations() -> tuple[Operation, ...]:
    """Every operation of every API, by API, path and method."""
    return tuple(_operation(record) for record in _json("operations.json"))


@cache
def _by_id() -> dict[tuple[str, str], Operation]:
    return {(op.api, op.operation_id): op for op in operations()}


def operation(operation_id: str, api: str = "client-server") -> Operation:
    """The operation of that ID, which is unique only within its API; `KeyError` when there is none."""
    return _by_id()[api, operation_id]


def definitions() -> dict[str, Schema]:
    """The shared definitions, by the name that `#/$defs/...` references use."""
    shared: dict[str, Schema] = _json("schemas.json")["$defs"]
    return shared


def references(schema: Any) -> set[str]:
    """Names of the definitions that `schema` refers to directly."""
    found: set[str] = set()
    pending = [schema]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending.extend(value)
        elif isinstance(value, dict):
            reference = value.get("$ref")
            if isinstance(reference, str):
                found.add(reference.removeprefix(_PREFIX))
            pending.extend(value.values())
    return found


def standalone(schema: Schema) -> Schema:
    """`schema` as a whole document, with the definitions it needs and no other."""
    shared = definitions()
    needed: dict[str, Schema] = {}
    pending = references(schema)
    while pending:
        name = pending.pop()
        if name not in needed:
            needed[name] = shared[name]
            pending |= references(shared[name])
    return {"$schema": _DIALECT, **schema, **({"$defs": needed} if needed else {})}


@cache
def _response_schema(op: Operation, status: str) -> Schema | None:
    body = op.response(status)
    return None if body is None or body.schema is None else standalone(body.schema)


def response_schema(op: Operation, status: int | str) -> Schema | None:
    """The schema of a response's JSON body; None for an undocumented status and for what isn't JSON."""
    return _response_schema(op, str(status))


@cache
def request_schema(op: Operation) -> Schema | None:
    """The schema of a request's JSON body; None when there is no body or it isn't JSON."""
    return None if op.request is None or op.request.schema is None else standalone(op.request.schema)


@cache
def event_types() -> dict[str, EventType]:
    """Every type of event the specification defines (outside the federation's EDUs), by type."""
    return {
        type_: EventType(
            type=type_,
            kind=record["kind"],
            content=record.get("content"),
            variants=record.get("variants", {}),
            state_key=record.get("state_key"),
            added=record.get("added"),
        )
        for type_, record in _json("events.json")["events"].items()
    }


@cache
def event_content_schema(event_type: str, variant: str | None = None) -> Schema | None:
    """The schema of `content`; `variant` is a `msgtype` or a verification method. None if unknown."""
    known = event_types().get(event_type)
    if known is None:
        return None
    content = known.content if variant is None else known.variants.get(variant)
    return None if content is None else standalone(content)


@cache
def edu_content_schema(edu_type: str) -> Schema | None:
    """The schema of an EDU's `content` (federation transactions); None for an unknown type."""
    record = _json("events.json")["edus"].get(edu_type)
    return None if record is None else standalone(record["content"])


@cache
def formats() -> frozenset[str]:
    """Names of the string formats the specification's schemas use."""
    return frozenset(_json("formats.json"))
