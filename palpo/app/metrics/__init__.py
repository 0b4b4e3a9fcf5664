"""What a process tells Prometheus: counted when it is asked, so that keeping costs as little as can be.

Each module is about one part of the server, and has a collector of its metrics. ``docs/monitoring.md`` lists
them all.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, ProcessCollector

from palpo.api.services import Services
from palpo.app.metrics.build import BuildMetrics
from palpo.app.metrics.caches import CacheMetrics
from palpo.app.metrics.database import DatabaseMetrics
from palpo.app.metrics.federation import FederationMetrics
from palpo.app.metrics.streams import StreamMetrics
from palpo.streams.consumers import Consumer
from palpo.workers.federation_sender import FederationSender


def register_all(
    registry: CollectorRegistry,
    services: Services,
    consumers: Iterable[Consumer],
    sender: FederationSender | None,
) -> None:
    """Register every collector but those of who answers requests."""
    server = services.server
    ProcessCollector(registry=registry)
    registry.register(BuildMetrics(server.config, server.db.dialect))
    registry.register(CacheMetrics(server.caches))
    registry.register(DatabaseMetrics(server.db))
    registry.register(StreamMetrics(server.wakeups, consumers))
    if sender is not None:
        federation = services.federation
        registry.register(FederationMetrics(sender, federation.incoming_events, federation.staging))
