"""What sees every response after it was sent: metrics, and the request log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from palpo.core.durations import Durations
from palpo.core.identifiers import UserId
from palpo.services.server.recent import SLOW_S, SlowRequest, SlowRequests
from palpo.wire.endpoint import Endpoint


@dataclass(slots=True, kw_only=True)
class Exchange:
    """A request and its response."""

    method: str
    raw_path: str
    endpoint: Endpoint[Any, Any, Any] | None
    status: int
    seconds: float
    request_id: str
    user_id: UserId | None
    address: str
    """The client's, as far as it is known: empty on a Unix socket without a proxy."""


class Observer(Protocol):
    """Anything that wants to see exchanges."""

    def __call__(self, exchange: Exchange, /) -> None: ...


class Metrics(Collector):
    """Requests by operation and status, and their durations.

    Counted here and told when asked: the library's own counters cost a sixth of a small request.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests: Counter[tuple[str, int]] = Counter()
        self._seconds: dict[str, Durations] = {}
        registry.register(self)

    def __call__(self, exchange: Exchange) -> None:
        operation = exchange.endpoint.operation_id if exchange.endpoint else "unrecognized"
        self._requests[operation, exchange.status] += 1
        durations = self._seconds.get(operation)
        if durations is None:
            durations = self._seconds[operation] = Durations()
        durations.observe(exchange.seconds)

    def collect(self) -> Iterator[Metric]:
        """What was counted so far."""
        requests = CounterMetricFamily(
            "palpo_http_requests", "Requests by operation and status.", labels=["operation", "status"]
        )
        for (operation, status), count in self._requests.items():
            requests.add_metric([operation, str(status)], count)
        yield requests
        seconds = HistogramMetricFamily(
            "palpo_http_request_seconds", "Seconds to a response, by operation.", labels=["operation"]
        )
        for operation, durations in self._seconds.items():
            seconds.add_metric([operation], buckets_of(durations), durations.sum)
        yield seconds


def buckets_of(durations: Durations) -> list[tuple[str, int]]:
    """The buckets of a histogram, as Prometheus names them."""
    name: Callable[[float], str] = floatToGoString
    return [(name(bound), count) for bound, count in durations.cumulative()]


class RequestLog:
    """One structured line a request."""

    def __init__(self) -> None:
        self._log = structlog.get_logger("palpo.requests")

    def __call__(self, exchange: Exchange) -> None:
        self._log.info(
            "request",
            id=exchange.request_id,
            address=exchange.address,
            method=exchange.method,
            path=exchange.raw_path,
            operation=exchange.endpoint.operation_id if exchange.endpoint else None,
            status=exchange.status,
            ms=round(exchange.seconds * 1000, 2),
            user=exchange.user_id,
        )


class SlowLog:
    """Keeps slow requests for administrators to look at; not those that may wait for something to happen."""

    def __init__(self, slow: SlowRequests, now_ms: Callable[[], int]) -> None:
        self._slow = slow
        self._now_ms = now_ms

    def __call__(self, exchange: Exchange) -> None:
        if exchange.seconds < SLOW_S or exchange.endpoint is None:
            return
        if "timeout" not in exchange.endpoint.params.__struct_fields__:
            self._slow.note(
                SlowRequest(
                    at_ts=self._now_ms(),
                    operation=exchange.endpoint.operation_id,
                    method=exchange.method,
                    path=exchange.raw_path,
                    status=exchange.status,
                    seconds=exchange.seconds,
                    user_id=exchange.user_id,
                    request_id=exchange.request_id,
                )
            )
