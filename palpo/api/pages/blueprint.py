"""Blueprints whose views serve declared endpoints, and the requests that they are given."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, cast
from urllib.parse import unquote

from hypercorn.typing import HTTPScope
from quart import Blueprint, Quart, Request, Response, request
from quart.typing import ResponseReturnValue
from werkzeug.datastructures import Headers

from palpo.api.call import Call, Reply
from palpo.api.dispatch import CORS
from palpo.wire.endpoint import Endpoint, NoBody, P, Page

View = Callable[[Call, P], Awaitable[ResponseReturnValue]]
SENT_ANYWAY = {"content-type", "content-length", *(name.decode() for name, _ in CORS)}
"""Headers that the dispatcher sends with every answer."""


class PageRequest(Request):
    """A request that has been through the dispatcher."""

    call: Call
    params: Any
    """Path and query parameters, as the endpoint declares them."""


class PageBlueprint(Blueprint):
    """Views by the endpoints that they serve."""

    def __init__(self, name: str, import_name: str) -> None:
        super().__init__(name, import_name)
        self.endpoints: list[Endpoint[Any, Any, Any]] = []

    def serves(self, endpoint: Endpoint[P, NoBody, Page]) -> Callable[[View[P]], View[P]]:
        """Register a view; its types are held to the endpoint's declaration."""

        def register(view: View[P]) -> View[P]:
            async def serve(**_: str) -> ResponseReturnValue:
                current = cast(PageRequest, request)
                return await view(current.call, current.params)

            for path in endpoint.paths:
                rule = re.sub(r"\{(\w+)\}", r"<\1>", path)
                self.add_url_rule(rule, view.__name__, serve, methods=[endpoint.method])
            self.endpoints.append(endpoint)
            return view

        return register


async def answer(app: Quart, call: Call, params: Any) -> Reply:
    """What the blueprint makes of a call that serves its endpoint."""
    response = await app.handle_request(_request(call, params))
    return Reply(
        body=await response.get_data(as_text=False) if isinstance(response, Response) else response.data,
        status=response.status_code,
        content_type=response.content_type or "",
        headers={name: value for name, value in response.headers if name.lower() not in SENT_ANYWAY},
    )


def _request(call: Call, params: Any) -> PageRequest:
    method = "GET" if call.method == "HEAD" else call.method
    made = PageRequest(
        method,
        "https",
        unquote(call.raw_path),
        call.query.encode("latin-1"),
        Headers(call.headers),
        "",
        "1.1",
        cast(HTTPScope, {}),
        send_push_promise=_push_nothing,
    )
    made.body.set_result(call.body)
    made.call, made.params = call, params
    return made


async def _push_nothing(path: str, headers: Headers) -> None:
    return None
