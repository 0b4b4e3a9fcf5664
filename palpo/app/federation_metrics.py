"""How it is with other servers, for Prometheus: by what can be said of each, and never by name."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from palpo.workers.federation_sender import FederationSender


class FederationMetrics(Collector):
    """``palpo_federation_…``; nothing but zeros where another process tells servers."""

    def __init__(self, sender: FederationSender) -> None:
        self._sender = sender

    def collect(self) -> Iterable[Metric]:
        """The figures of this moment."""
        servers = GaugeMetricFamily(
            "palpo_federation_destinations",
            "Servers that there is something to tell, by how it is with them.",
            labels=["health"],
        )
        for health, number in self._sender.by_health().items():
            servers.add_metric([health.value], number)
        yield servers
        transactions = CounterMetricFamily(
            "palpo_federation_transactions", "Transactions, by what became of them.", labels=["outcome"]
        )
        for outcome in ("sent", "failed", "refused"):
            transactions.add_metric([outcome], self._sender.outcomes[outcome])
        yield transactions
