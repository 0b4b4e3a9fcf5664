"""Traces by OpenTelemetry: of requests, of transactions, and of what is asked of other servers.

`palpo[tracing]` has what this imports; where traces are not wanted, this is not loaded, and in nobody's way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer

from palpo import __version__
from palpo.api.dispatch import Dispatcher
from palpo.api.observers import Exchange
from palpo.config.model import Config
from palpo.db.engine import Database
from palpo.net.federation_answer import FederationAnswer
from palpo.net.federation_client import FederationClient
from palpo.services.history.room_writer import RoomWriter

EXPORT_SECONDS = 5
"""For one try to hand spans over."""
NAMED_SEGMENTS = 5
"""Of a path of the federation API; IDs follow them."""


class TracedDispatcher(Dispatcher):
    """One whose requests are spans, which begin traces: what others say of theirs is not believed."""

    def __init__(self, tracer: Tracer, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._tracer = tracer
        self.observers.append(_note)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one HTTP request."""
        with _span(self._tracer, "request", SpanKind.SERVER):
            await super().__call__(scope, receive, send)


class Tracing:
    """What makes the spans of one server, and hands them over."""

    def __init__(self, config: Config) -> None:
        named = {
            "service.name": "palpo",
            "service.version": __version__,
            "server.address": config.server_name,
        }
        sampler = ParentBased(TraceIdRatioBased(config.tracing.sample))
        self._provider = TracerProvider(resource=Resource(named), sampler=sampler)
        exporter = OTLPSpanExporter(endpoint=_traces_url(config.tracing.endpoint), timeout=EXPORT_SECONDS)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("palpo", __version__)

    @property
    def dispatcher(self) -> Callable[..., Dispatcher]:
        """What to construct instead of a Dispatcher."""
        return partial(TracedDispatcher, self._tracer)

    def watch(self, db: Database, writer: RoomWriter, client: FederationClient) -> None:
        """Make spans of what these do from now on.

        Events of several requests are written in one transaction, so what each has is the wait for that.
        """
        db.read = self._unit("db.read", db.read, db.dialect)  # type: ignore[method-assign]
        db.write = self._unit("db.write", db.write, db.dialect)  # type: ignore[method-assign]
        writer.send_all = self._events(writer.send_all)  # type: ignore[method-assign]
        writer.admit = self._events(writer.admit)  # type: ignore[method-assign]
        writer.create = self._events(writer.create)  # type: ignore[method-assign]
        client.request = self._asked(client.request)  # type: ignore[method-assign]

    async def close(self) -> None:
        """Hand over what there is, for some seconds."""
        await asyncio.to_thread(self._provider.shutdown)

    def _unit(self, name: str, run: Callable[[Any], Awaitable[Any]], dialect: str) -> Any:
        async def traced(unit: Any) -> Any:
            # What runs by itself, such as a worker's look for news, would be a trace each.
            if not trace.get_current_span().is_recording():
                return await run(unit)
            with _span(self._tracer, name, SpanKind.CLIENT) as span:
                span.set_attributes({"db.system.name": dialect, "code.function.name": _name(unit)})
                return await run(unit)

        return traced

    def _events(self, run: Callable[..., Awaitable[Any]]) -> Any:
        async def traced(*arguments: Any, **options: Any) -> Any:
            with _span(self._tracer, "events.write", SpanKind.INTERNAL) as span:
                span.set_attribute("code.function.name", _name(run))
                return await run(*arguments, **options)

        return traced

    def _asked(self, ask: Callable[..., AbstractAsyncContextManager[FederationAnswer]]) -> Any:
        @asynccontextmanager
        async def traced(
            server: str, method: str, path: str, **options: Any
        ) -> AsyncIterator[FederationAnswer]:
            template = "/".join(path.split("/")[:NAMED_SEGMENTS])
            with _span(self._tracer, f"{method} {template}", SpanKind.CLIENT) as span:
                span.set_attribute("server.address", server)
                async with ask(server, method, path, **options) as answer:
                    yield answer

        return traced


@asynccontextmanager
async def tracing(config: Config) -> AsyncIterator[Tracing]:
    """Traces for as long as it lasts."""
    made = Tracing(config)
    try:
        yield made
    finally:
        await made.close()


def _note(exchange: Exchange) -> None:
    span = trace.get_current_span()
    operation = exchange.endpoint.operation_id if exchange.endpoint else "unrecognized"
    span.update_name(operation)
    span.set_attributes(
        {
            "http.request.method": exchange.method,
            "http.response.status_code": exchange.status,
            "palpo.operation": operation,
            "palpo.request_id": exchange.request_id,
        }
    )
    if exchange.status >= 500:
        span.set_status(StatusCode.ERROR)


@contextmanager
def _span(tracer: Tracer, name: str, kind: SpanKind) -> Iterator[Span]:
    """A span that knows of an exception no more than its type: texts have IDs in them."""
    with tracer.start_as_current_span(
        name, kind=kind, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield span
        except BaseException as error:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(StatusCode.ERROR)
            raise


def _name(unit: Any) -> str:
    while isinstance(unit, partial):
        unit = unit.func
    return str(getattr(unit, "__qualname__", type(unit).__name__)).partition(".<locals>")[0]


def _traces_url(endpoint: str) -> str:
    return endpoint if urlsplit(endpoint).path.strip("/") else endpoint.rstrip("/") + "/v1/traces"
