"""Where the stream is, who waits for it and who follows it, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from palpo.streams.consumers import Consumer
from palpo.streams.wakeups import Wakeups


class StreamMetrics(Collector):
    """``palpo_stream_…`` and ``palpo_consumer_…``."""

    def __init__(self, wakeups: Wakeups, consumers: Iterable[Consumer]) -> None:
        self._wakeups = wakeups
        self._consumers = list(consumers)

    def collect(self) -> Iterable[Metric]:
        """The figures of this moment."""
        yield GaugeMetricFamily(
            "palpo_stream_position", "The newest position that this process knows.", self._wakeups.position
        )
        yield GaugeMetricFamily(
            "palpo_stream_lag",
            "Positions that it has heard of and that something is missing before.",
            self._wakeups.heard - self._wakeups.position,
        )
        yield GaugeMetricFamily(
            "palpo_stream_waiters", "Requests that wait for something to happen.", self._wakeups.waiting
        )
        position = GaugeMetricFamily("palpo_consumer_position", "What it has handled.", labels=["consumer"])
        behind = GaugeMetricFamily("palpo_consumer_behind", "What it has not handled.", labels=["consumer"])
        for one in self._consumers:
            position.add_metric([one.name], one.position)
            behind.add_metric([one.name], one.behind)
        yield position
        yield behind
