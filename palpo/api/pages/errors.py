"""Errors of pages and of what nobody serves: a page for a browser, the spec's JSON for everybody else."""

from __future__ import annotations

from collections.abc import Mapping

from quart import Response, render_template, request
from werkzeug.exceptions import HTTPException

from palpo.api.dispatch import CORS
from palpo.api.errors import render, translated
from palpo.api.pages.browsers import SeeOther
from palpo.core.errors import MatrixError


def is_browser() -> bool:
    """Whether the request would rather have a page than JSON; who takes anything gets JSON."""
    return request.accept_mimetypes.best_match(("application/json", "text/html")) == "text/html"


async def refuse(error: Exception) -> Response:
    """The answer to a request that failed, or that leads elsewhere."""
    if isinstance(error, SeeOther):
        return Response(status=303, headers={"Location": error.location})
    kept = {}
    if isinstance(error, HTTPException):
        # Quart's own: its headers, such as ``Allow``, are kept, the words are the spec's.
        kept = {name: value for name, value in error.get_headers() if name.lower() != "content-type"}
        error = MatrixError("Unrecognized request", errcode="M_UNRECOGNIZED", status=error.code)
    error = translated(error)
    reply = render(error)
    headers = {**kept, **reply.headers, **{name.decode(): value.decode() for name, value in CORS}}
    if not is_browser():
        return Response(reply.body, reply.status, headers, content_type="application/json")
    return await shown(error, headers)


async def shown(error: MatrixError, headers: Mapping[str, str] | None = None) -> Response:
    """A page that says what is wrong, and of what there was too much of, when to come back."""
    kept = {**render(error).headers, **(headers or {})}
    page = await render_template(
        "error.html", status=error.status, message=error.message, seconds=kept.get("Retry-After")
    )
    return Response(page, error.status, kept, content_type="text/html; charset=utf-8")
