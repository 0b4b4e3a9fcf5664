"""How it is with other servers, for Prometheus: by what can be said of each, and never by name."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from palpo.core.records.events import EventStatus
from palpo.services.federation.events.incoming_events import IncomingEvents
from palpo.services.federation.receiving.staging import Staging
from palpo.workers.federation_sender import FederationSender

VERDICTS = {
    "accepted": (EventStatus.ACCEPTED, EventStatus.HIDDEN),
    "soft_failed": (EventStatus.SOFT_FAILED,),
    "rejected": (EventStatus.REJECTED,),
}


class FederationMetrics(Collector):
    """``palpo_federation_…``; what is sent is nothing but zeros where another process tells servers."""

    def __init__(self, sender: FederationSender, incoming: IncomingEvents, staging: Staging) -> None:
        self._sender = sender
        self._incoming = incoming
        self._staging = staging

    def collect(self) -> Iterable[Metric]:
        """The figures of this moment."""
        yield self._destinations()
        yield self._transactions()
        yield self._pdus()

    def _destinations(self) -> Metric:
        servers = GaugeMetricFamily(
            "palpo_federation_destinations",
            "Servers that there is something to tell, by how it is with them.",
            labels=["health"],
        )
        for health, number in self._sender.by_health().items():
            servers.add_metric([health.value], number)
        return servers

    def _transactions(self) -> Metric:
        transactions = CounterMetricFamily(
            "palpo_federation_transactions", "Transactions, by what became of them.", labels=["outcome"]
        )
        for outcome in ("sent", "failed", "refused"):
            transactions.add_metric([outcome], self._sender.outcomes[outcome])
        return transactions

    def _pdus(self) -> Metric:
        pdus = CounterMetricFamily(
            "palpo_federation_pdus", "Events of other servers, by what became of them.", labels=["verdict"]
        )
        for verdict, statuses in VERDICTS.items():
            pdus.add_metric([verdict], sum(self._incoming.verdicts[status] for status in statuses))
        pdus.add_metric(["waits"], self._staging.put_count)
        pdus.add_metric(["refused"], self._staging.refused_count)
        return pdus
