"""The ASGI application: a Quart app whose Matrix endpoints are dispatched before Quart sees them."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry
from quart import Quart, Response
from werkzeug.exceptions import HTTPException

from palpo.api.dispatch import CORS, Dispatcher
from palpo.api.observability import health, metrics
from palpo.api.services import Services


class PalpoApp(Quart):
    """Quart for pages and for operators, the dispatcher for Matrix endpoints."""

    def __init__(self, dispatcher: Dispatcher, services: Services, registry: CollectorRegistry) -> None:
        super().__init__("palpo", static_folder=None)
        self.dispatcher = dispatcher
        self.services = services
        self.registry = registry
        self.add_url_rule("/_palpo/health", "health", health(services))
        if services.server.config.metrics:
            self.add_url_rule("/_palpo/metrics", "metrics", metrics(registry, services.server.quotas))
        self.register_error_handler(HTTPException, _refused)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "http" and Dispatcher.takes(scope):
            await self.dispatcher(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


async def _refused(error: HTTPException) -> Response:
    """Whatever Quart has to say, as JSON; its headers, such as ``Allow``, are kept."""
    if error.code == 500:
        body, status = '{"errcode":"M_UNKNOWN","error":"Internal server error"}', 500
    else:
        body, status = '{"errcode":"M_UNRECOGNIZED","error":"Unrecognized request"}', error.code or 404
    kept = {name: value for name, value in error.get_headers() if name.lower() != "content-type"}
    kept |= {name.decode(): value.decode() for name, value in CORS}
    return Response(body, status=status, headers=kept, content_type="application/json")
