"""What the caches hold, for Prometheus: counted when it is asked for, so that keeping costs nothing more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from palpo.streams.caches import CacheBudget

_GAUGES = {
    "bytes": "Bytes that the entries of a cache take, as it accounts for them.",
    "entries": "Entries of a cache.",
}
_COUNTERS = {
    "hits": "Look-ups that a cache answered.",
    "misses": "Look-ups that it did not.",
    "evictions": "Entries dropped to make room for others.",
}


class CacheMetrics(Collector):
    """``palpo_cache_…``, by cache."""

    def __init__(self, caches: CacheBudget) -> None:
        self._caches = caches

    def collect(self) -> Iterable[Metric]:
        """The figures of this moment."""
        budget = "Bytes that all caches may take together."
        yield GaugeMetricFamily("palpo_cache_budget_bytes", budget, value=self._caches.limit)
        figures = self._figures()
        for kind, abouts in ((GaugeMetricFamily, _GAUGES), (CounterMetricFamily, _COUNTERS)):
            for name, about in abouts.items():
                metric = kind(f"palpo_cache_{name}", about, labels=["cache"])
                for cache, of_cache in figures.items():
                    metric.add_metric([cache], of_cache[name])
                yield metric

    def _figures(self) -> dict[str, Counter[str]]:
        figures: dict[str, Counter[str]] = {}
        for cache in self._caches.caches:
            of_cache = figures.setdefault(cache.name, Counter())
            of_cache.update(
                bytes=cache.bytes,
                entries=len(cache),
                hits=cache.hits,
                misses=cache.misses,
                evictions=cache.evictions,
            )
        return figures
