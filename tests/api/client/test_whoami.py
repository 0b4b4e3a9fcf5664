"""GET /account/whoami, and what holds for every endpoint."""

import pytest

from tests.support.homeserver import Client, Homeserver

WHOAMI = "/_matrix/client/v3/account/whoami"


async def test_token_of_nobody(server: Homeserver) -> None:
    client = Client(server.http, token="nobody")
    answer = await client.get("/account/whoami", status=401)
    assert answer["errcode"] == "M_UNKNOWN_TOKEN"


async def test_no_token(server: Homeserver) -> None:
    answer = await server.client().get("/account/whoami", status=401)
    assert answer["errcode"] == "M_MISSING_TOKEN"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/_matrix/client/v3/nothing", 404), ("GET", "/_matrix/", 404), ("PATCH", WHOAMI, 405)],
)
async def test_unrecognized(server: Homeserver, method: str, path: str, status: int) -> None:
    response = await server.http.request(method, path)
    assert response.status_code == status
    assert response.json()["errcode"] == "M_UNRECOGNIZED"
    assert response.headers["access-control-allow-origin"] == "*"


async def test_preflight(server: Homeserver) -> None:
    response = await server.http.options(WHOAMI)
    assert response.status_code == 200
    assert "Authorization" in response.headers["access-control-allow-headers"]


async def test_health_and_metrics(server: Homeserver) -> None:
    await server.http.get(WHOAMI)
    for path in ("", "/ready", "/live"):
        assert (await server.http.get(f"/_palpo/health{path}")).json() == {"status": "ok"}
    assert (await server.http.get("/health")).text == "OK"
    metrics = (await server.http.get("/_palpo/metrics")).text
    assert 'palpo_http_requests_total{operation="getTokenOwner",status="401"} 1.0' in metrics
    for consumer in ("pushers", "search"):
        assert f'palpo_consumer_position{{consumer="{consumer}"}}' in metrics
        assert f'palpo_consumer_behind{{consumer="{consumer}"}}' in metrics
