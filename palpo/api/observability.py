"""What operators ask a process: is it healthy, and what does it count."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from quart import Response

from palpo.api.services import Services
from palpo.db.errors import DatabaseError
from palpo.db.position import CURRENT


def health(services: Services) -> Callable[[], Awaitable[Response]]:
    """GET /_palpo/health: 200 if the database answers a query, 503 if not."""

    async def check() -> Response:
        try:
            await services.db.read(lambda tx: tx.value(CURRENT))
        except (DatabaseError, OSError):
            return Response('{"status":"database unavailable"}', 503, content_type="application/json")
        return Response('{"status":"ok"}', content_type="application/json")

    return check


def metrics(registry: CollectorRegistry) -> Callable[[], Awaitable[Response]]:
    """GET /_palpo/metrics: Prometheus text."""

    async def expose() -> Response:
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    return expose
