"""Typed access to operations, schemas and event types."""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator
from palpo_spec import (
    edu_content_schema,
    event_content_schema,
    event_types,
    formats,
    operation,
    request_schema,
    response_schema,
)


def test_an_operation_has_its_documented_facts() -> None:
    op = operation("sync")
    assert (op.method, op.path) == ("GET", "/_matrix/client/v3/sync")
    assert (op.auth, op.auth_optional, op.rate_limited, op.deprecated) == (
        "accessTokenBearer",
        False,
        False,
        False,
    )
    since = next(p for p in op.parameters if p.name == "use_state_after")
    assert (since.place, since.required, since.added) == ("query", False, "1.16")


def test_authentication_none_optional_and_signed() -> None:
    assert operation("login").auth is None
    versions = operation("getVersions")
    assert (versions.auth, versions.auth_optional) == ("accessTokenBearer", True)
    assert operation("sendTransaction", "server-server").auth == "signedRequest"
    assert operation("sendTransaction", "application-service").auth == "homeserverAccessToken"
    assert operation("getEventByTimestamp", "server-server").auth == "signedRequest"


def test_rate_limiting_follows_the_documented_429() -> None:
    assert operation("login").rate_limited
    assert "429" in operation("login").statuses


def test_an_unknown_operation_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        operation("sync", "identity")


def test_response_schema_stands_alone() -> None:
    schema = response_schema(operation("sync"), 200)
    assert schema is not None
    assert "client-server.client_event_without_room_id" in schema["$defs"]
    validator = Draft202012Validator(schema)
    assert validator.is_valid({"next_batch": "s1"})
    assert not validator.is_valid({"rooms": {}})


def test_response_schema_of_what_is_undocumented_or_not_json() -> None:
    assert response_schema(operation("sync"), 418) is None
    assert response_schema(operation("getContentAuthed"), 200) is None
    assert operation("getContentAuthed").responses["200"].schema is None


def test_statuses_by_class_stand_for_their_statuses() -> None:
    op = operation("msisdnSubmitTokenGetV2", "identity")
    assert op.response(404) is op.responses["4XX"]
    assert op.response(200) is op.responses["200"]
    assert op.response(500) is None


def test_request_schema() -> None:
    schema = request_schema(operation("createRoom"))
    assert schema is not None
    validator = Draft202012Validator(schema)
    assert validator.is_valid({"preset": "private_chat", "invite": ["@bob:example.org"]})
    assert not validator.is_valid({"preset": "secret"})
    assert request_schema(operation("sync")) is None


def test_event_kinds() -> None:
    kinds = {name: event.kind for name, event in event_types().items()}
    assert kinds["m.room.member"] == "state"
    assert kinds["m.room.message"] == "message"
    assert kinds["m.room.encrypted"] == "message"
    assert kinds["m.typing"] == "ephemeral"
    assert kinds["m.push_rules"] == "account_data"
    assert kinds["m.room_key"] == "to_device"
    assert kinds["m.presence"] == "presence"
    assert len(kinds) == 66


def test_event_contents_and_variants() -> None:
    member = event_content_schema("m.room.member")
    assert member is not None
    assert Draft202012Validator(member).is_valid({"membership": "join", "displayname": None})
    assert not Draft202012Validator(member).is_valid({"membership": "lurk"})
    image = event_content_schema("m.room.message", "m.image")
    assert image is not None
    assert not Draft202012Validator(image).is_valid({"msgtype": "m.text", "body": "x"})
    assert event_content_schema("org.example.unknown") is None
    assert event_content_schema("m.room.message", "org.example.unknown") is None


def test_edus_and_formats() -> None:
    typing = edu_content_schema("m.typing")
    assert typing is not None
    assert not Draft202012Validator(typing).is_valid({"room_id": "!a:b"})
    assert edu_content_schema("m.unknown") is None
    assert "mx-user-id" in formats()
