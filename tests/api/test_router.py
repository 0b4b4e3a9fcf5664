"""Routing by the raw path."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palpo.api.router import Router
from palpo.core.errors import InvalidParam, Unrecognized
from palpo.wire.registry import endpoints

pytestmark = pytest.mark.one_database


@pytest.fixture
def router() -> Router[str]:
    router: Router[str] = Router()
    router.add("GET", "/rooms/{room_id}/state", "all state")
    router.add("GET", "/rooms/{room_id}/state/{type}", "state")
    router.add("PUT", "/rooms/{room_id}/state/{type}/{key}", "put state")
    router.add("GET", "/rooms/{room_id}/state/{type}/{key}", "state by key")
    router.add("GET", "/rooms/{room_id}/{thing}/x", "other")
    router.add("GET", "/pushrules/", "rules")
    return router


@pytest.mark.parametrize(
    ("path", "target", "parameters"),
    [
        (b"/rooms/!a%2Fb/state", "all state", {"room_id": "!a/b"}),
        (b"/rooms/!a/state/m.x", "state", {"room_id": "!a", "type": "m.x"}),
        (b"/rooms/!a/state/m.x/", "state by key", {"room_id": "!a", "type": "m.x", "key": ""}),
        (b"/rooms/!a/state/m.x/%40b%20c", "state by key", {"room_id": "!a", "type": "m.x", "key": "@b c"}),
        (b"/rooms/%E2%82%AC/state", "all state", {"room_id": "€"}),
        ("/rooms/€/state".encode(), "all state", {"room_id": "€"}),
        (b"/rooms/a+b/state", "all state", {"room_id": "a+b"}),
        (b"/rooms/a/state/x", "state", {"room_id": "a", "type": "x"}),
        (b"/rooms/a/other/x", "other", {"room_id": "a", "thing": "other"}),
        (b"/pushrules/", "rules", {}),
    ],
)
def test_segments_are_matched_before_they_are_decoded(
    router: Router[str], path: bytes, target: str, parameters: dict[str, str]
) -> None:
    assert router.match("GET", path) == (target, parameters)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", b"/rooms", 404),
        ("GET", b"/rooms/a/state/", 200),
        ("GET", b"/pushrules", 404),
        ("GET", b"/pushrules//", 404),
        ("GET", b"", 404),
        ("PUT", b"/rooms/a/state", 405),
        ("DELETE", b"/pushrules/", 405),
    ],
)
def test_unknown_paths_and_methods(router: Router[str], method: str, path: bytes, status: int) -> None:
    if status == 200:
        assert router.match(method, path)[0] == "state"
        return
    with pytest.raises(Unrecognized) as error:
        router.match(method, path)
    assert error.value.status == status


def test_what_is_not_utf8_is_refused(router: Router[str]) -> None:
    with pytest.raises(InvalidParam):
        router.match("GET", b"/rooms/%FF/state")


def test_nothing_is_routed_twice(router: Router[str]) -> None:
    with pytest.raises(ValueError, match="routed already"):
        router.add("GET", "/rooms/{other}/state", "again")


@given(st.binary(max_size=60))
def test_any_path_is_matched_or_refused(path: bytes) -> None:
    router: Router[str] = Router()
    router.add("GET", "/a/{b}/c", "x")
    with suppress(Unrecognized, InvalidParam):
        router.match("GET", b"/a/" + path + b"/c")


def test_every_declared_path_is_routed_by_its_own_endpoint() -> None:
    router: Router[str] = Router()
    for endpoint in endpoints():
        for path in endpoint.paths:
            router.add(endpoint.method, path, endpoint.operation_id)
    for endpoint in endpoints():
        for path in endpoint.paths:
            target, parameters = router.match(endpoint.method, path.encode())
            assert target == endpoint.operation_id
            assert set(parameters) == set(endpoint.path_parameters(path))
