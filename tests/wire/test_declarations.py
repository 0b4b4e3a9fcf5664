"""Declared endpoints and the spec's operations, held to each other both ways.

``tests/wire/pending.txt`` lists the operations that a homeserver serves and this one does not serve yet. It
may only shrink: an operation that is declared must not be in it.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from palpo_spec import Operation, operations

from palpo import admin
from palpo.api.modules import handlers
from palpo.api.pages import BLUEPRINTS
from palpo.wire.endpoint import Auth, Endpoint, Limit, NoBody, Params
from palpo.wire.registry import endpoints

PENDING_FILE = Path(__file__).parent / "pending.txt"
SERVED = ("client-server", "server-server")
Key = tuple[str, str]


def key(item: Any) -> Key:
    return item.api, item.operation_id


SPEC = {key(operation): operation for operation in operations() if operation.api in SERVED}
DECLARED = {
    (endpoint.api, operation_id): endpoint
    for endpoint in endpoints()
    for operation_id in endpoint.operation_ids
}
OF_THE_SPEC = [(name, endpoint) for name, endpoint in DECLARED.items() if name in SPEC]


def pending() -> set[Key]:
    rows = PENDING_FILE.read_text().split()
    assert rows == sorted(set(rows))
    return {(row.partition("/")[0], row.partition("/")[2]) for row in rows}


def shape(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)


of_the_spec = pytest.mark.parametrize(
    ("operation", "endpoint"),
    [(SPEC[name], endpoint) for name, endpoint in OF_THE_SPEC],
    ids=[operation_id for (_, operation_id), _ in OF_THE_SPEC],
)


def test_every_operation_is_declared_or_pending() -> None:
    missing = set(SPEC) - set(DECLARED)
    assert missing - pending() == set(), "declare these, or list them in tests/wire/pending.txt"
    assert pending() - missing == set(), "these are served now: take them out of tests/wire/pending.txt"


def test_what_the_spec_does_not_know_says_where_it_is_from() -> None:
    others = {operation_id for api, operation_id in DECLARED if (api, operation_id) not in SPEC}
    assert {other for other in others if "." not in other} == set()


@of_the_spec
def test_method_and_path(operation: Operation, endpoint: Endpoint[Any, Any, Any]) -> None:
    assert endpoint.method == operation.method
    assert shape(endpoint.paths[0]) == shape(operation.path)


@of_the_spec
def test_auth(operation: Operation, endpoint: Endpoint[Any, Any, Any]) -> None:
    if operation.auth is None:
        assert endpoint.auth in (Auth.NONE, Auth.OPTIONAL)
    elif not operation.auth_optional:
        assert endpoint.auth not in (Auth.NONE, Auth.OPTIONAL)
    if operation.auth == "signedRequest":
        assert endpoint.auth is Auth.SERVER


@of_the_spec
def test_what_the_spec_limits_is_limited(operation: Operation, endpoint: Endpoint[Any, Any, Any]) -> None:
    if operation.rate_limited:
        assert endpoint.limit is not Limit.NONE


CHEAP = frozenset(
    {
        "getVersions",
        "getWellknown",
        "getWellknownPolicy",
        "getWellKnown",
        "getWellknownSupport",
        "getVersion",
        "getServerKey",
    }
)
"""What anybody may ask for as often as they like: it is the same for all, and nothing is looked up."""


def test_whatever_costs_something_has_a_budget() -> None:
    """The spec marks what must be limited, and lets a server limit anything ("Rate limiting")."""
    unlimited = {endpoint.operation_id for endpoint in endpoints() if endpoint.limit is Limit.NONE}
    assert unlimited == CHEAP
    assert all(
        endpoint.auth is Auth.NONE and endpoint.method == "GET"
        for endpoint in endpoints()
        if endpoint.operation_id in CHEAP
    )


def test_bytes_are_no_class_of_an_endpoint() -> None:
    of_bytes = {Limit.WRITTEN, Limit.FEDERATION_WRITTEN, Limit.READ}
    assert {endpoint.limit for endpoint in endpoints()} >= set(Limit) - of_bytes
    assert not {endpoint.limit for endpoint in endpoints()} & of_bytes


BYPASS = "admin_unsafely_bypass_quarantine"
BESIDE_THE_SPEC: dict[str, set[str]] = {
    "getContent": {BYPASS},
    "getContentAuthed": {"allow_redirect", "allow_remote", BYPASS},
    "getContentOverrideName": {BYPASS},
    "getContentOverrideNameAuthed": {"allow_redirect", "allow_remote", BYPASS},
    "getContentThumbnail": {BYPASS},
    "getContentThumbnailAuthed": {"allow_redirect", "allow_remote", BYPASS},
    "joinRoom": {"server_name"},
    "knockRoom": {"server_name"},
    "roomInitialSync": {"limit"},
    "sendMessage": {"ts"},
    "setRoomStateWithKey": {"ts"},
}
"""Query parameters that the spec does not have for an operation of clients; those with a prefix need no
mention."""


@pytest.mark.parametrize("endpoint", endpoints(), ids=lambda endpoint: endpoint.operation_id)
def test_parameters(endpoint: Endpoint[Any, Any, Any]) -> None:
    """Each is a placeholder of a path or a query parameter that is known, and none is missing."""
    ours = {field.encode_name for field in msgspec.structs.fields(endpoint.params)}
    places = {name for path in endpoint.paths for name in endpoint.path_parameters(path)}
    queries = {
        parameter.name
        for operation_id in endpoint.operation_ids
        if (operation := SPEC.get((endpoint.api, operation_id)))
        for parameter in operation.parameters
        if parameter.place == "query"
    }
    assert places | queries <= ours
    if "." not in endpoint.operation_id:
        beside = {name for name in ours - places - queries if "." not in name}
        ours_alone = BESIDE_THE_SPEC if endpoint.api == "client-server" else {}
        assert beside == ours_alone.get(endpoint.operation_id, set()), "see BESIDE_THE_SPEC"


def test_every_endpoint_has_exactly_one_handler() -> None:
    served = [endpoint for module in handlers() for endpoint, _ in module.table]
    served += [endpoint for blueprint in (*BLUEPRINTS, *admin.BLUEPRINTS) for endpoint in blueprint.endpoints]
    assert Counter(map(id, served)) == Counter(map(id, endpoints()))


class Room(Params, frozen=True):
    room_id: str
    limit: int = 10


def declare(*paths: str, operation_id: str = "getRoom") -> Endpoint[Room, NoBody, None]:
    return Endpoint(operation_id=operation_id, method="GET", paths=paths, auth=Auth.NONE, params=Room)


@pytest.mark.parametrize("operation_id", ["getRoom", "msc1234.getRoom", "synapse.get_room", "palpo.getRoom"])
def test_forms_of_operation_ids(operation_id: str) -> None:
    assert declare("/{room_id}", operation_id=operation_id).operation_ids == (operation_id,)


@pytest.mark.parametrize("operation_id", ["", "get room", "msc12.getRoom", "element.getRoom", "palpo."])
def test_other_forms_are_refused(operation_id: str) -> None:
    with pytest.raises(ValueError, match=re.escape("the spec's own, mscNNNN.name, synapse.name")):
        declare("/{room_id}", operation_id=operation_id)


def test_a_declaration_that_contradicts_itself() -> None:
    with pytest.raises(ValueError, match=re.escape("{event_id} of /{room_id}/{event_id} is no field")):
        declare("/{room_id}/{event_id}")
    with pytest.raises(ValueError, match=re.escape("/all has no {room_id}")):
        declare("/{room_id}", "/all")
    assert declare("/{room_id}", "/{room_id}/{limit}")
