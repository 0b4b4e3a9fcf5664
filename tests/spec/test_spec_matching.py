"""`match`: from a request line to its operation."""

from __future__ import annotations

import pytest
from palpo_spec import match, operations

# Operations that only the query or the body tells from the one that `match` gives.
SHARED = {"peekEvents": "getEvents", "inviteBy3PID": "inviteUser"}


def matched(method: str, path: str) -> tuple[str, str, dict[str, str]] | None:
    found = match(method, path)
    return None if found is None else (found[0].api, found[0].operation_id, found[1])


def test_every_operation_is_found_by_its_own_template() -> None:
    for op in operations():
        path = "/".join("x" if s.startswith("{") else s for s in op.path.split("/"))
        found = match(op.method, path)
        assert found is not None
        wanted = SHARED.get(op.operation_id, op.operation_id)
        assert (found[0].api, found[0].operation_id) == (op.api, wanted)


def test_an_encoded_slash_stays_in_its_segment() -> None:
    path = "/_matrix/client/v3/rooms/!a%2Fb:c/state/org.example%2Fx/key%2Fwith%2Fslashes"
    assert matched("GET", path) == (
        "client-server",
        "getRoomStateWithKey",
        {"roomId": "!a%2Fb:c", "eventType": "org.example%2Fx", "stateKey": "key%2Fwith%2Fslashes"},
    )


@pytest.mark.parametrize("path", ["state/m.room.name", "state/m.room.name/"])
def test_an_empty_state_key_needs_no_slash(path: str) -> None:
    found = matched("PUT", f"/_matrix/client/v3/rooms/!a:b/{path}")
    assert found == (
        "client-server",
        "setRoomStateWithKey",
        {"roomId": "!a:b", "eventType": "m.room.name", "stateKey": ""},
    )


@pytest.mark.parametrize("path", ["pushrules", "pushrules/", "pushrules?x=1"])
def test_a_last_slash_may_be_left_out_where_the_template_has_one(path: str) -> None:
    found = matched("GET", f"/_matrix/client/v3/{path}")
    assert found is not None
    assert found[1] == "getPushRules"


def test_a_last_slash_is_not_added() -> None:
    assert match("GET", "/_matrix/client/v3/sync/") is None


@pytest.mark.parametrize(
    ("method", "path", "operation_id"),
    [
        ("GET", "/_matrix/client/r0/sync", "sync"),
        ("POST", "/_matrix/client/unstable/keys/device_signing/upload", "uploadCrossSigningKeys"),
        ("GET", "/_matrix/client/unstable/rooms/!a:b/hierarchy", "getSpaceHierarchy"),
        ("POST", "/_matrix/media/r0/upload", "uploadContent"),
        ("GET", "/_matrix/media/v1/download/a/b", "getContent"),
        ("POST", "/_matrix/media/v1/create", "createContent"),
    ],
)
def test_former_prefixes(method: str, path: str, operation_id: str) -> None:
    found = matched(method, path)
    assert found is not None
    assert found[1] == operation_id


def test_literals_go_before_variables_and_versions_stay_apart() -> None:
    assert matched("GET", "/_matrix/federation/v1/query/profile") == ("server-server", "queryProfile", {})
    assert matched("GET", "/_matrix/federation/v1/query/other") == (
        "server-server",
        "queryInfo",
        {"queryType": "other"},
    )
    v1, v2 = (match("PUT", f"/_matrix/federation/{v}/invite/!a:b/$e") for v in ("v1", "v2"))
    assert v1 is not None
    assert v2 is not None
    assert v1[0].operation_id != v2[0].operation_id


def test_an_encoded_literal_is_the_literal() -> None:
    assert matched("GET", "/_matrix/client/v3/s%79nc") == ("client-server", "sync", {})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/_matrix/client/v3/unknown"),
        ("POST", "/_matrix/client/v3/sync"),
        ("BREW", "/_matrix/client/v3/sync"),
        ("GET", "/_matrix/client/v1/sync"),
        ("GET", ""),
        ("GET", "/" * 5000),
    ],
)
def test_what_the_specification_does_not_know(method: str, path: str) -> None:
    assert match(method, path) is None
