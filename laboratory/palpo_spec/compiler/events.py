"""Event types: what kind each is, and the schema of its content."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from palpo_spec.compiler.schemas import SchemaCollector
from palpo_spec.compiler.source import Source, SourceError, resolve

_EVENTS = "event-schemas/schema"
_EDUS = "api/server-server/definitions/event-schemas"
_ROOM_KINDS = {"state_event.yaml": "state", "room_event.yaml": "message"}

# The data gives events outside rooms, and one within them, no kind. A type missing here stops the compiler.
_OTHER_KINDS = {
    "account_data": (
        "m.accepted_terms m.direct m.fully_read m.identity_server m.ignored_user_list m.image_pack.rooms"
        " m.invite_permission_config m.key_backup m.marked_unread m.push_rules m.recent_emoji m.tag"
    ),
    "ephemeral": "m.receipt m.typing",
    "message": "m.room.encrypted",  # Also sent to devices, so the data gives it neither base.
    "presence": "m.presence",
    "to_device": (
        "m.dummy m.forwarded_room_key m.key.verification.accept m.key.verification.cancel"
        " m.key.verification.done m.key.verification.key m.key.verification.mac m.key.verification.ready"
        " m.key.verification.request m.key.verification.start m.room_key m.room_key.withheld"
        " m.room_key_bundle m.room_key_request m.secret.request m.secret.send"
    ),
}
_KIND_OF = {type_: kind for kind, types in _OTHER_KINDS.items() for type_ in types.split()}

# Files among the event types that describe part of a content.
_PARTS = frozenset({"m.key.verification.m.relates_to"})


def _properties(document: dict[str, Any]) -> dict[str, Any]:
    """The properties an event file itself gives, at its top or inline in `allOf`."""
    found: dict[str, Any] = {}
    for schema in (*document.get("allOf", ()), document):
        found |= schema.get("properties", {})
    return found


class EventCompiler:
    """Compiles the event files, their shared schemas going to `schemas`."""

    def __init__(self, source: Source, schemas: SchemaCollector) -> None:
        self._source = source
        self._schemas = schemas

    def compile(self) -> dict[str, Any]:
        """`{"events": {type: record}, "edus": {edu_type: {"content": schema}}}`."""
        events: dict[str, Any] = {}
        for file in self._source.paths(f"{_EVENTS}/*.yaml"):
            type_, _, variant = PurePosixPath(file).name.removesuffix(".yaml").partition("$")
            record = self._event(file, type_)
            if record is None:
                continue
            entry = events.setdefault(type_, {})
            if variant:
                entry.setdefault("variants", {})[variant] = record["content"]
                record.pop("content")
            events[type_] = {**record, **entry}
        return {"events": events, "edus": dict(self._edus())}

    def _event(self, file: str, type_: str) -> dict[str, Any] | None:
        """The record of one file, or None where the file describes part of a content, not an event."""
        document = self._source.document(file)
        properties = _properties(document)
        if type_ in _PARTS:
            return None
        if "content" not in properties:
            raise SourceError(f"{file}: an event without content")
        types = properties.get("type", {}).get("enum", [type_])
        if type_ not in types:
            raise SourceError(f"{file}: is of type {types}")
        record: dict[str, Any] = {
            "kind": self._kind(file, document, type_),
            "content": self._schemas.strip(properties["content"], file),
        }
        if "state_key" in properties:
            record["state_key"] = self._schemas.strip(properties["state_key"], file)
        if "x-addedInMatrixVersion" in document:
            record["added"] = document["x-addedInMatrixVersion"]
        return record

    @staticmethod
    def _kind(file: str, document: dict[str, Any], type_: str) -> str:
        bases = [PurePosixPath(part.get("$ref", "")).name for part in document.get("allOf", ())]
        for base in bases:
            if base in _ROOM_KINDS:
                return _ROOM_KINDS[base]
        if type_ not in _KIND_OF:
            raise SourceError(f"{file}: what kind of event is {type_}?")
        return _KIND_OF[type_]

    def _edus(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for file in self._source.paths(f"{_EDUS}/*.yaml"):
            type_ = PurePosixPath(file).name.removesuffix(".yaml")
            for part in self._source.document(file)["allOf"]:
                if "properties" in part:
                    content = part["properties"]["content"]
                    yield type_, {"content": self._schemas.strip(content, resolve("", file).path)}
