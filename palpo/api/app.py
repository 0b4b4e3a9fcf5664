"""The ASGI application: a Quart app whose declared endpoints are dispatched before Quart sees them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jinja2 import StrictUndefined
from prometheus_client import CollectorRegistry
from quart import Quart, g

from palpo.api import pages
from palpo.api.call import Call, Reply
from palpo.api.dispatch import Dispatcher
from palpo.api.observability import alive, health, live, metrics
from palpo.api.pages.blueprint import PageBlueprint, answer, raise_refused
from palpo.api.pages.browsers import send_cookies
from palpo.api.pages.errors import refuse
from palpo.api.pages.security import nonce, secure
from palpo.api.pages.translations import language, translate, translate_markup
from palpo.api.services import Services


class PalpoApp(Quart):
    """Quart for pages and for operators, the dispatcher for Matrix endpoints, and before pages."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        services: Services,
        registry: CollectorRegistry,
        *,
        more_pages: Iterable[PageBlueprint] = (),
    ) -> None:
        super().__init__(pages.__name__, static_folder=None, template_folder="templates")
        self.dispatcher = dispatcher
        self.services = services
        self.registry = registry
        for path in ("/_palpo/health", "/_palpo/health/ready"):
            self.add_url_rule(path, path, health(services))
        self.add_url_rule("/_palpo/health/live", "live", live)
        self.add_url_rule("/health", "alive", alive)
        if services.server.config.metrics:
            self.add_url_rule("/_palpo/metrics", "metrics", metrics(registry, services.server.quotas))
        self.register_error_handler(Exception, refuse)
        self._serve_pages([*pages.BLUEPRINTS, *more_pages])

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "http" and Dispatcher.takes(scope):
            await self.dispatcher(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def _serve_pages(self, blueprints: Iterable[PageBlueprint]) -> None:
        self.jinja_options = {"undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
        self.context_processor(
            lambda: {
                "nonce": nonce(),
                "server_name": self.services.server.config.server_name,
                "_": translate,
                "_m": translate_markup,
                "language": language(),
                "csrf": g.get("csrf"),
            }
        )
        self.before_request(raise_refused)
        self.after_request(secure)
        self.after_request(send_cookies)
        for blueprint in blueprints:
            self.register_blueprint(blueprint)
            for endpoint in blueprint.endpoints:
                self.dispatcher.serve(endpoint, self._page)
        self.dispatcher.refused_page = self._refused_page

    async def _page(self, call: Call, params: Any, body: Any) -> Reply:
        return await answer(self, call, params)

    async def _refused_page(self, call: Call, error: Exception) -> Reply:
        return await answer(self, call, None, refused=error)
