"""Values for requests: right ones, nearly right ones, and hostile ones."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import msgspec.inspect as inspect
from palpo_spec import event_content_schema, event_types

from tests.fuzz.pools import KINDS, Pools

Schema = dict[str, Any]
CONTENT = {name: schema for name in event_types() if (schema := event_content_schema(name)) is not None}

HOSTILE_TEXT = (
    "", "\0", "a\0b", "\ud800", "x\udfffy", "\u202e", "\U0010ffff", "é" * 128, "a" * 255, "a" * 256,
    "a" * 70_000, "@", "!", "$", "#", "@:", "!:test.example", "$" + "a" * 254, "@" + "é" * 127 + ":b",
    "@a:" + "b" * 300, "@A B:test.example", "@fuzz0:test.example:", "../../etc/passwd", "..", ".", "/",
    "%2F", "%00", "%", "%25%32%46", "null", "true", "-1", "1e999", "NaN", "0x10", "' OR 1=1 --",
    "{}", "[]", "{", "\"", "\\", "${jndi}", "\r\nX: y", "s1", "s-1", "s" + "9" * 30, "t1-1", "t-1--1",
    "t" + "9" * 40 + "-" + "9" * 40, "mxc://", "mxc://test.example/..", "mxc://a/b/c", "http://127.0.0.1:9/",
    "file:///etc/passwd", "http://[", "ed25519:", "signed_curve25519:", "m.", "日本語", "İ", "ß" * 200,
    "s1_2_3", "_" * 100, "1" * 400, "９", "\x7f", "\x1b[2J", "a\nb", " ", "\ufeff", "\u0000\u0001",
)  # fmt: skip
HOSTILE_NUMBERS = (
    0, -1, 1, 2**31 - 1, 2**31, 2**32, 2**53 - 1, 2**53, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1,
    2**64, 10**30, 10**400,
    1.5, -0.0, 1e300, 1e-300, float("nan"), float("inf"), float("-inf"),
)  # fmt: skip

ANY = ("room_id", "user_id", "event_id", "device_id", "event_type", "batch")
"""Kinds that are drawn from where nothing is known of a name."""
KEYS = (
    "body", "msgtype", "type", "membership", "users", "events", "event_id", "m.relates_to", "rel_type", "via",
    "is_falling_back", "m.in_reply_to", "m.mentions", "user_ids", "room", "m.new_content", "keys", "url",
    "info", "state_key", "content", "signatures", "allow", "alias",
)  # fmt: skip
KEYED = {
    "one_time_keys": "key_id",
    "messages": "user_id",
    "device_keys": "user_id",
    "rooms": "room_id",
    "sessions": "session_id",
}
"""What the keys of some objects are."""


class Values:
    """Draws values."""

    def __init__(self, rng: Random, pools: Pools) -> None:
        self.rng = rng
        self.pools = pools
        self.context: dict[str, str] = {}
        """Values that go with each other, by kind: the caller, a room of theirs, an event in it."""
        self.wild = 1.0
        """How much of what is drawn is wrong: 1 is a lot, near 0 hardly anything."""
        self.swelling = 0.03
        """How many of the bodies are as large as they may be."""

    def chance(self, share: float) -> bool:
        """True in ``share`` of all cases."""
        return self.rng.random() < share

    def wrong(self, share: float) -> bool:
        """True in ``share`` of all cases where requests are as wrong as they get."""
        return self.rng.random() < share * self.wild

    def text(self, name: str) -> str:
        """A text for the parameter or key ``name``."""
        if self.wrong(0.12):
            return self.rng.choice(HOSTILE_TEXT)
        draw = self.rng.random()
        known: Any = self.context.get(KINDS.get(name, name)) if self.chance(0.95 - 0.25 * self.wild) else None
        if known is None:
            known = self.pools.pick(name, self.rng)
        if known is None:
            known = self.pools.pick(
                self.rng.choice(ANY), self.rng
            ) if draw < 0.3 else f"x{self.rng.randrange(50)}"  # fmt: skip
        known = str(known)
        return self._nearly(known) if self.wrong(0.08) else known

    def _nearly(self, value: str) -> str:
        at = self.rng.randrange(len(value) + 1)
        other = self.rng.choice(("", "\0", "x", "/", ":", "é", "\ud83d", value, "a" * 250, "%2F"))
        return value[:at] + other + value[at + self.rng.randrange(2) :]

    def number(self, name: str) -> Any:
        """A number for ``name``."""
        known = self.pools.pick(name, self.rng)
        if known is not None and self.chance(0.7):
            return known
        if name.startswith("timeout"):
            # The server waits as long as it is told.
            return self.rng.choice((0, 1, 5, -1, -(2**63) - 1, 1.5, "x", None))
        return self.rng.choice(HOSTILE_NUMBERS) if self.wrong(0.2) else self.rng.randrange(-1, 30)

    def json(self, depth: int = 3) -> Any:
        """Any JSON value."""
        draw = self.rng.randrange(10 if depth else 6)
        if draw == 0:
            return None
        if draw == 1:
            return self.chance(0.5)
        if draw == 2:
            return self.number("")
        if draw < 6:
            return self.text(
                self.rng.choice(("room_id", "user_id", "event_id", "body", "membership", "type"))
            )
        if draw < 8:
            return [self.json(depth - 1) for _ in range(self.rng.randrange(4))]
        return {self.key(): self.json(depth - 1) for _ in range(self.rng.randrange(5))}

    def key(self) -> str:
        """A key of an object."""
        return self.rng.choice(KEYS) if self.chance(0.8) else self.text("user_id")

    def content(self, event_type: str) -> Any:
        """An event's content."""
        schema = CONTENT.get(event_type)
        value = {self.key(): self.json() for _ in range(3)} if not self.wrong(0.2) else self.json()
        if schema and self.chance(0.8):
            value = self.of_schema(schema, schema, "content")
        if isinstance(value, dict) and self.chance(0.3):
            relation: dict[str, Any] = {"rel_type": self.text("rel_type"), "event_id": self.text("event_id")}
            if self.chance(0.5):
                relation["key"] = self.text("key")
            value["m.relates_to"] = relation if self.chance(0.9) else self.json()
        return value

    def of_type(self, kind: Any, name: str, depth: int = 5) -> Any:
        """A value for a field of one of our own types (``msgspec.inspect``)."""
        if self.wrong(0.04) or depth == 0:
            return self.json(2)
        match kind:
            case inspect.UnionType():
                return self.of_type(self.rng.choice(kind.types), name, depth)
            case inspect.NoneType():
                return None
            case inspect.LiteralType():
                return self.rng.choice(kind.values) if not self.wrong(0.1) else self.text(name)
            case inspect.BoolType():
                return self.chance(0.5)
            case inspect.IntType() | inspect.FloatType():
                return self.number(name)
            case inspect.StrType():
                return self.text(name)
            case inspect.ListType() | inspect.VarTupleType():
                return [self.of_type(kind.item_type, name, depth - 1) for _ in range(self.rng.randrange(4))]
            case inspect.DictType():
                return self._dict(kind, name, depth)
            case inspect.StructType():
                return {
                    field.encode_name: self.of_type(field.type, field.encode_name, depth - 1)
                    for field in kind.fields
                    if (not self.wrong(0.05) if field.required else self.chance(0.45))
                }
        return self.json(2)

    def _dict(self, kind: inspect.DictType, name: str, depth: int) -> Any:
        if isinstance(kind.value_type, inspect.AnyType):
            return self.content(self.text("event_type"))
        keyed = KEYED.get(name, self.rng.choice(("user_id", "room_id", "device_id")))
        return {
            self.text(keyed): self.of_type(
                kind.value_type, "device_id" if keyed == "user_id" else name, depth - 1
            )
            for _ in range(self.rng.randrange(3))
        }

    def of_schema(self, schema: Any, root: Schema, name: str, depth: int = 6) -> Any:
        """A value for one of the spec's schemas."""
        if depth == 0 or not isinstance(schema, dict) or self.wrong(0.03):
            return self.json(1)
        if "$ref" in schema:
            return self.of_schema(_follow(schema["$ref"], root), root, name, depth)
        for choice in ("oneOf", "anyOf"):
            if schema.get(choice):
                return self.of_schema(self.rng.choice(schema[choice]), root, name, depth)
        if "enum" in schema:
            return self.rng.choice(schema["enum"])
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = self.rng.choice(kind)
        if kind == "object" or "properties" in schema or "allOf" in schema:
            return self._object(schema, root, depth)
        if kind == "array":
            items = schema.get("items", True)
            return [self.of_schema(items, root, name, depth - 1) for _ in range(self.rng.randrange(4))]
        if kind in ("integer", "number"):
            return self.number(name)
        if kind == "boolean":
            return self.chance(0.5)
        return self.text(name) if kind == "string" else self.json(2)

    def _object(self, schema: Schema, root: Schema, depth: int) -> Any:
        value: dict[str, Any] = {}
        for part in schema.get("allOf", ()):
            more = self.of_schema(part, root, "", depth - 1)
            value |= more if isinstance(more, dict) else {}
        required = schema.get("required", ())
        for name, inner in schema.get("properties", {}).items():
            if not self.wrong(0.05) if name in required else self.chance(0.5):
                value[name] = self.of_schema(inner, root, name, depth - 1)
        others = [*schema.get("patternProperties", {}).values(), schema.get("additionalProperties")]
        for inner in others:
            if isinstance(inner, dict):
                keyed = self.text(self.rng.choice(("user_id", "room_id", "device_id", "event_type")))
                value[keyed] = self.of_schema(inner, root, keyed, depth - 1)
        return value if value or self.chance(0.5) else self.json(2)


def _follow(reference: str, root: Schema) -> Any:
    target: Any = root
    for step in reference.removeprefix("#/").split("/"):
        target = target.get(step, {}) if isinstance(target, dict) else {}
    return target


def written(value: Any) -> bytes:
    """``value`` as JSON, or what takes itself for it: with NaN, lone surrogates and numbers of any size."""
    return json.dumps(value, separators=(",", ":")).encode()
