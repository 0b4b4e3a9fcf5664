"""What sees every response after it was sent: metrics, and the request log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram

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
    user_id: str | None
    address: str
    """The client's, as far as it is known: empty on a Unix socket without a proxy."""


class Observer(Protocol):
    """Anything that wants to see exchanges."""

    def __call__(self, exchange: Exchange, /) -> None: ...


class Metrics:
    """Requests by operation and status, and their durations."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "palpo_http_requests",
            "Requests by operation and status.",
            ["operation", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "palpo_http_request_seconds",
            "Seconds to a response, by operation.",
            ["operation"],
            registry=registry,
        )
        self._children: dict[tuple[str, int], tuple[Callable[[], None], Callable[[float], None]]] = {}

    def __call__(self, exchange: Exchange) -> None:
        operation = exchange.endpoint.operation_id if exchange.endpoint else "unrecognized"
        children = self._children.get((operation, exchange.status))
        if children is None:
            children = self._children[operation, exchange.status] = (
                self._requests.labels(operation, str(exchange.status)).inc,
                self._seconds.labels(operation).observe,
            )
        children[0]()
        children[1](exchange.seconds)


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
