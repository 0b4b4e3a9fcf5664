"""What runs here, for Prometheus."""

from __future__ import annotations

import platform
from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from palpo import __version__
from palpo.config.model import Config


class BuildMetrics(Collector):
    """``palpo_build_info``, always 1."""

    def __init__(self, config: Config, dialect: str) -> None:
        self._labels = {
            "version": __version__,
            "python": platform.python_version(),
            "database": dialect,
            "server_name": config.server_name,
        }

    def collect(self) -> Iterable[Metric]:
        """The one metric."""
        info = GaugeMetricFamily("palpo_build_info", "What runs here; always 1.", labels=list(self._labels))
        info.add_metric(list(self._labels.values()), 1)
        yield info
