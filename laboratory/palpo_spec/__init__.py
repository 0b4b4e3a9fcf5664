"""The Matrix specification as data: operations, JSON schemas and event types.

The facts come from the specification's OpenAPI and event definitions by `palpo_spec.compiler`, and are read
from `palpo_spec/data/` on first use. See `palpo_spec/README.md`.
"""

from palpo_spec.matching import match
from palpo_spec.model import Body, EventType, Operation, Parameter, Schema
from palpo_spec.store import (
    definitions,
    edu_content_schema,
    event_content_schema,
    event_types,
    formats,
    operation,
    operations,
    request_schema,
    response_schema,
    standalone,
    version,
)

__all__ = [
    "Body",
    "EventType",
    "Operation",
    "Parameter",
    "Schema",
    "definitions",
    "edu_content_schema",
    "event_content_schema",
    "event_types",
    "formats",
    "match",
    "operation",
    "operations",
    "request_schema",
    "response_schema",
    "standalone",
    "version",
]
