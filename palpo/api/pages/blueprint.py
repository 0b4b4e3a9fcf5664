"""Blueprints whose views serve declared endpoints, and the requests that they are given."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, cast
from urllib.parse import unquote

from hypercorn.typing import HTTPScope
from quart import Blueprint, Quart, Request, Response, g, request
from quart.typing import ResponseReturnValue
from werkzeug.datastructures import Headers

from palpo.api.call import Call, Reply
from palpo.api.dispatch import CORS
from palpo.api.pages.browsers import Form, csrf_field, csrf_token, read_form
from palpo.api.pages.security import allow
from palpo.core.errors import Unrecognized
from palpo.wire.endpoint import Endpoint, NoBody, P, Page

View = Callable[[Call, P], Awaitable[ResponseReturnValue]]
FormView = Callable[[Call, P, Form], Awaitable[ResponseReturnValue]]
SENT_ANYWAY = {"content-type", "content-length", "set-cookie", *(name.decode() for name, _ in CORS)}
"""Headers that the dispatcher sends with every answer, or that are handed to it otherwise."""


class PageRequest(Request):
    """A request that has been through the dispatcher."""

    call: Call
    params: Any
    """Path and query parameters, as the endpoint declares them."""
    refused: Exception | None = None
    """Why the dispatcher does not let it through."""


class PageBlueprint(Blueprint):
    """Views by the endpoints that they serve."""

    def __init__(self, name: str, import_name: str, *, has_forms: bool = False) -> None:
        """``has_forms``: its pages have forms with ``{{ csrf() }}`` in them, and know browsers by cookies."""
        super().__init__(name, import_name)
        self.has_forms = has_forms
        self.endpoints: list[Endpoint[Any, Any, Any]] = []

    def serves(self, endpoint: Endpoint[P, NoBody, Page]) -> Callable[[View[P]], View[P]]:
        """Register a view; its types are held to the endpoint's declaration."""

        def register(view: View[P]) -> View[P]:
            async def serve(**_: str) -> ResponseReturnValue:
                current = cast(PageRequest, request)
                token = await csrf_token(current.call) if self.has_forms else ""
                if self.has_forms:
                    g.csrf = lambda: csrf_field(token)
                    allow(form_action="'self'")
                return await view(current.call, current.params)

            for path in endpoint.paths:
                rule = re.sub(r"\{(\w+)\}", r"<\1>", path)
                self.add_url_rule(rule, view.__name__, serve, methods=[endpoint.method], strict_slashes=False)
            self.endpoints.append(endpoint)
            return view

        return register

    def form(self, endpoint: Endpoint[P, NoBody, Page]) -> Callable[[FormView[P]], FormView[P]]:
        """Register a view for a form of this server's own pages, which is checked before it is called."""

        def register(view: FormView[P]) -> FormView[P]:
            @wraps(view)
            async def checked(call: Call, params: P) -> ResponseReturnValue:
                return await view(call, params, await read_form(call))

            self.serves(endpoint)(checked)
            return view

        return register


async def raise_refused() -> None:
    """Raise what the dispatcher has found, so that its blueprint says it as it says everything.

    What it has not seen is no page's: Quart looks for one by the decoded path, ``/%5Fpalpo/account/`` say.
    """
    if isinstance(request, PageRequest):
        if request.refused is not None:
            raise request.refused
    elif request.blueprint is not None:
        raise Unrecognized("Unrecognized request")


async def answer(app: Quart, call: Call, params: Any, *, refused: Exception | None = None) -> Reply:
    """What the blueprint makes of a call that serves its endpoint, or that was refused before."""
    made = _request(call, params)
    made.refused = refused
    response = await app.handle_request(made)
    return Reply(
        body=await response.get_data(as_text=False) if isinstance(response, Response) else response.data,
        status=response.status_code,
        content_type=response.content_type or "",
        headers={name: value for name, value in response.headers if name.lower() not in SENT_ANYWAY},
        cookies=response.headers.getlist("Set-Cookie"),
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
