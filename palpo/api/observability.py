"""What operators ask a process: is it healthy, and what does it count."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from quart import Response

from palpo.api.services import Services


def health(services: Services) -> Callable[[], Awaitable[Response]]:
    """GET /_palpo/health: 200 if all that the server depends on works, 503 with what does not."""

    async def check() -> Response:
        failing = await services.health.failing()
        body = {"status": "failing", "failing": failing} if failing else {"status": "ok"}
        status = 503 if failing else 200
        return Response(msgspec.json.encode(body), status, content_type="application/json")

    return check


def metrics(registry: CollectorRegistry) -> Callable[[], Awaitable[Response]]:
    """GET /_palpo/metrics: Prometheus text."""

    async def expose() -> Response:
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    return expose
