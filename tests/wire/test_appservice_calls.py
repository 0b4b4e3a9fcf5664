"""What the server asks of application services, held to the spec's operations."""

from __future__ import annotations

import re

from palpo_spec import operations

from palpo.wire.appservice.calls import CALLS


def shape(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)


def test_every_operation_is_declared_as_the_spec_has_it() -> None:
    spec = {
        (item.operation_id, item.method, shape(item.path))
        for item in operations()
        if item.api == "application-service"
    }
    assert {(item.operation_id, item.method, shape(item.path)) for item in CALLS} == spec


def test_a_call_has_the_same_segments_at_its_older_path() -> None:
    for call in CALLS:
        for path in (call.path, call.legacy_path or call.path):
            assert re.findall(r"\{(\w+)\}", path) == re.findall(r"\{(\w+)\}", call.path)
