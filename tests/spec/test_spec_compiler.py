"""The compiler, on a small checkout made here in the shape of the specification's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from palpo_spec.compiler import source as source_module
from palpo_spec.compiler.__main__ import main
from palpo_spec.compiler.corrections import Correction, StaleCorrection, apply_corrections
from palpo_spec.compiler.output import compile_source
from palpo_spec.compiler.source import SourceError, resolve

THINGS = """
openapi: 3.1.0
info: {title: Things, version: 1.0.0}
paths:
  /things/{thingId}:
    put:
      summary: Prose.
      operationId: putThing
      x-addedInMatrixVersion: "1.2"
      security: [{}, {accessTokenBearer: []}]
      parameters:
        - $ref: "#/components/parameters/thingId"
      requestBody:
        required: true
        content:
          application/json:
            schema:
              title: Thing
              type: object
              description: Prose.
              example: {description: prose}
              properties:
                description: {type: string, description: Prose., nullable: true}
                title: {type: [string, "null"]}
                parts:
                  description: Prose.
                  allOf:
                    - $ref: definitions/part.yaml
                    - example: {}
              required: [description]
              x-changedInMatrixVersion: {"1.4": Prose.}
      responses:
        "200":
          description: Prose.
          content: {application/json: {schema: {type: object}, examples: {a: {value: {}}}}}
        "429":
          $ref: "#/components/responses/limited"
servers:
  - url: "{basePath}"
    variables: {basePath: {default: /_matrix/client/v3}}
components:
  parameters:
    thingId: {in: path, name: thingId, required: true, example: a, schema: {type: string, pattern: "^!"}}
  responses:
    limited: {description: Prose., headers: {Retry-After: {}}}
"""
PART = """
title: Part
type: object
properties:
  parts: {type: array, items: {$ref: part.yaml}, x-weight: 3}
"""
TOPIC = """
allOf: [{$ref: core-event-schema/state_event.yaml}]
properties:
  content: {type: object, properties: {topic: {type: string, description: Prose.}}}
  state_key: {type: string, pattern: "^$"}
  type: {type: string, enum: [m.topic]}
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # The table of corrections is for the real data, of which this holds none.
    monkeypatch.setattr(source_module, "CORRECTIONS", ())
    files = {
        "api/client-server/things.yaml": THINGS,
        "api/client-server/definitions/part.yaml": PART,
        "event-schemas/schema/m.topic.yaml": TOPIC,
        "string-formats.yaml": "mx-b: {title: B}\nmx-a: {title: A}\n",
    }
    for name, text in files.items():
        file = tmp_path / "spec" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return tmp_path / "spec"


def rewrite(checkout: Path, old: str, new: str) -> None:
    file = checkout / "api/client-server/things.yaml"
    file.write_text(file.read_text().replace(old, new))


def test_an_operation_is_compiled_without_its_prose(checkout: Path) -> None:
    compiled = compile_source(checkout)
    (operation,) = compiled["operations.json"]
    assert operation == {
        "api": "client-server",
        "id": "putThing",
        "method": "PUT",
        "path": "/_matrix/client/v3/things/{thingId}",
        "auth": "accessTokenBearer",
        "auth_optional": True,
        "rate_limited": True,
        "deprecated": False,
        "added": "1.2",
        "changed": [],
        "parameters": [
            {"name": "thingId", "in": "path", "required": True, "schema": {"type": "string", "pattern": "^!"}}
        ],
        "request": {
            "required": True,
            "content_types": ["application/json"],
            "schema": {"$ref": "#/$defs/client-server.putThing.request"},
        },
        "responses": {
            "200": {"content_types": ["application/json"], "schema": {"type": "object"}},
            "429": {"content_types": [], "headers": ["Retry-After"]},
        },
    }
    assert "Prose" not in json.dumps(compiled)


def test_schemas_keep_properties_named_like_keywords_and_refer_by_name(checkout: Path) -> None:
    definitions = compile_source(checkout)["schemas.json"]["$defs"]
    assert definitions["client-server.putThing.request"] == {
        "type": "object",
        "properties": {
            "description": {"type": ["string", "null"]},
            "title": {"type": ["string", "null"]},
            "parts": {"$ref": "#/$defs/client-server.part"},
        },
        "required": ["description"],
        "x-changedInMatrixVersion": ["1.4"],
    }
    assert definitions["client-server.part"] == {
        "type": "object",
        "properties": {"parts": {"type": "array", "items": {"$ref": "#/$defs/client-server.part"}}},
    }


def test_events_and_formats(checkout: Path) -> None:
    compiled = compile_source(checkout)
    assert compiled["events.json"]["events"] == {
        "m.topic": {
            "kind": "state",
            "content": {"type": "object", "properties": {"topic": {"type": "string"}}},
            "state_key": {"type": "string", "pattern": "^$"},
        }
    }
    assert compiled["formats.json"] == ["mx-a", "mx-b"]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("nullable: true", "madeUp: 1", "unknown schema keyword 'madeUp'"),
        ("definitions/part.yaml", "definitions/none.yaml", "no such file"),
        ("definitions/part.yaml", "../../../../x.yaml", "leaves the checkout"),
        ("parameters/thingId", "parameters/none", "nothing at"),
        ("    put:", "    frob:", "unknown method"),
    ],
)
def test_what_the_compiler_does_not_know_stops_it(checkout: Path, old: str, new: str, complaint: str) -> None:
    rewrite(checkout, old, new)
    with pytest.raises(SourceError, match=complaint):
        compile_source(checkout)


def test_an_event_without_a_kind_stops_it(checkout: Path) -> None:
    file = checkout / "event-schemas/schema/m.topic.yaml"
    file.write_text(TOPIC.replace("state_event.yaml", "event.yaml"))
    with pytest.raises(SourceError, match=r"what kind of event is m\.topic"):
        compile_source(checkout)


def test_an_event_may_give_its_properties_inline(checkout: Path) -> None:
    before = compile_source(checkout)["events.json"]
    (checkout / "event-schemas/schema/m.topic.yaml").write_text(
        "allOf: [{$ref: core-event-schema/state_event.yaml}, {type: object, properties: {"
        "content: {type: object, properties: {topic: {type: string}}},"
        'state_key: {type: string, pattern: "^$"}}}]'
    )
    assert compile_source(checkout)["events.json"] == before


def test_an_event_without_content_stops_it(checkout: Path) -> None:
    file = checkout / "event-schemas/schema/m.topic.yaml"
    file.write_text(TOPIC.replace("  content:", "  contents:"))
    with pytest.raises(SourceError, match="without content"):
        compile_source(checkout)


def test_the_command_writes_and_checks(
    checkout: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(checkout), "--output", str(tmp_path / "out")]
    assert main([*arguments, "--check"]) == 1
    assert main([*arguments, "--spec-version", "v9.9", "--commit", "abc"]) == 0
    assert "commit: abc" in (tmp_path / "out/VERSION").read_text()
    assert main([*arguments, "--check"]) == 0
    rewrite(checkout, '"1.2"', '"1.3"')
    capsys.readouterr()
    assert main([*arguments, "--check"]) == 1
    printed = capsys.readouterr().out.splitlines()
    assert {line.strip() for line in printed if line.startswith("+ ")} == {'+  "added": "1.3",'}
    assert main([str(tmp_path)]) == 2


def test_references_resolve_against_their_file() -> None:
    found = resolve("../b/c.yaml#/x", "api/a/d.yaml")
    assert (found.path, found.pointer) == ("api/b/c.yaml", "/x")


def test_corrections_apply_once_and_then_are_stale() -> None:
    correction = Correction(file="f", pointer=("a", 0), drop=("enum",), put={"type": "string"}, reason="r")
    document: dict[str, Any] = {"a": [{"enum": ["x"]}]}
    apply_corrections(document, [correction])
    assert document == {"a": [{"type": "string"}]}
    with pytest.raises(StaleCorrection):
        apply_corrections(document, [correction])
    with pytest.raises(StaleCorrection):
        apply_corrections(
            document, [Correction(file="f", pointer=("a", 0), put={"type": "string"}, reason="r")]
        )
