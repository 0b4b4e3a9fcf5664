"""What the database has had to do, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from palpo.api.observers import buckets_of
from palpo.db.engine import Database

_POOL = {
    "size": "Connections that there may be, by what they are for.",
    "lent": "Connections in use.",
    "waiting": "Units of work that wait for a connection.",
}


class DatabaseMetrics(Collector):
    """``palpo_database_…``, of this process."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def collect(self) -> Iterable[Metric]:
        """The figures of this moment."""
        yield from self._reads()
        yield from self._writes()
        yield from self._pools()

    def _reads(self) -> Iterable[Metric]:
        figures = self._db.figures
        yield CounterMetricFamily("palpo_database_reads", "Units of work that only read.", figures.reads)
        yield CounterMetricFamily(
            "palpo_database_read_seconds", "Seconds that they took, with waiting.", figures.read_seconds
        )

    def _writes(self) -> Iterable[Metric]:
        figures = self._db.figures
        yield HistogramMetricFamily(
            "palpo_database_commit_seconds",
            "Seconds that transactions took which write: each commits whatever waited.",
            buckets_of(figures.commits),
            figures.commits.sum,
        )
        yield CounterMetricFamily("palpo_database_written_units", "Units of work written.", figures.units)
        yield CounterMetricFamily(
            "palpo_database_failed_groups",
            "Transactions whose units were tried again alone.",
            figures.failures,
        )
        yield GaugeMetricFamily(
            "palpo_database_waiting_units", "Units of work that wait to be written.", self._db.waiting
        )

    def _pools(self) -> Iterable[Metric]:
        pools = self._db.engine.pools()
        for name, about in _POOL.items():
            metric = GaugeMetricFamily(f"palpo_database_pool_{name}", about, labels=["pool"])
            for pool, figures in pools.items():
                metric.add_metric([pool], getattr(figures, name))
            yield metric
