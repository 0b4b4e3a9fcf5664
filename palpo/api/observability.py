"""What operators ask a process: is it healthy, and what does it count."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from quart import Response

from palpo.api.services import Services
from palpo.core.records.quotas import Kind
from palpo.db.errors import DatabaseError
from palpo.services.server.health import PATIENCE_S
from palpo.services.server.quotas import Quotas


def health(services: Services) -> Callable[[], Awaitable[Response]]:
    """GET /_palpo/health and /_palpo/health/ready: 200 if all that the server depends on works.

    Otherwise 503, with what does not.
    """

    async def check() -> Response:
        failing = await services.server.health.failing()
        body = {"status": "failing", "failing": failing} if failing else {"status": "ok"}
        status = 503 if failing else 200
        return Response(msgspec.json.encode(body), status, content_type="application/json")

    return check


async def live() -> Response:
    """GET /_palpo/health/live: 200; that there is an answer is what it says."""
    return Response(b'{"status":"ok"}', content_type="application/json")


async def alive() -> Response:
    """GET /health: as ``live``, for what was set up for Synapse."""
    return Response("OK", content_type="text/plain; charset=utf-8")


class QuotaMetrics(Collector):
    """What users have together of what is bounded, what they may have, and how often more was refused."""

    def __init__(self, quotas: Quotas) -> None:
        self._quotas = quotas
        self._used: Mapping[Kind, int] = {}

    async def refresh(self) -> None:
        """Look up what is told from now on; what was known stays where the database is away, or slow.

        That is when metrics are wanted most, and who collects them does not wait for long.
        """
        with suppress(DatabaseError, OSError):  # TimeoutError is an OSError.
            async with asyncio.timeout(PATIENCE_S):
                self._used = await self._quotas.used()

    def collect(self) -> Iterator[Metric]:
        """The metrics."""
        used = GaugeMetricFamily("palpo_quota_used", "What all users have, by kind.", labels=["kind"])
        for kind, amount in self._used.items():
            used.add_metric([kind.value], amount)
        yield used
        limit = GaugeMetricFamily(
            "palpo_quota_limit", "What one user, or the server, may have; 0: no limit.", labels=["kind", "of"]
        )
        refused = CounterMetricFamily(
            "palpo_quota_refusals", "Requests for more than may be had.", labels=["kind", "of"]
        )
        for kind in Kind:
            for whose, most in (
                ("user", self._quotas.limit(kind)),
                ("server", self._quotas.server_limit(kind)),
            ):
                limit.add_metric([kind.value, whose], most or 0)
                refused.add_metric([kind.value, whose], self._quotas.refusals[kind, whose])
        yield limit
        yield refused


def metrics(registry: CollectorRegistry, quotas: Quotas) -> Callable[[], Awaitable[Response]]:
    """GET /_palpo/metrics: Prometheus text."""
    of_quotas = QuotaMetrics(quotas)
    registry.register(of_quotas)

    async def expose() -> Response:
        await of_quotas.refresh()
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    return expose
