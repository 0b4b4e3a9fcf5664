"""The one place where an exception becomes a response."""

from __future__ import annotations

import math

import structlog

from palpo.api.call import Reply
from palpo.api.codec import encode
from palpo.core.errors import (
    InsufficientStorage,
    InvalidParam,
    LimitExceeded,
    MatrixError,
    Unavailable,
    WrongMethod,
)
from palpo.db.errors import AWAY, BadValue, Full, Retriable

log = structlog.get_logger("palpo.api")


def render(error: Exception) -> Reply:
    """The response that ``error`` is told by; what nobody expected is logged with its trace."""
    error = translated(error)
    headers = {}
    if isinstance(error, LimitExceeded):
        headers["Retry-After"] = str(math.ceil(error.retry_after_ms / 1000))
    if isinstance(error, WrongMethod):
        heads = ("HEAD",) if "GET" in error.allowed else ()
        headers["Allow"] = ", ".join((*error.allowed, *heads, "OPTIONS"))
    return Reply(status=error.status, body=encode(error.body()), headers=headers)


def translated(error: Exception) -> MatrixError:
    """``error`` in the words of the protocol; what nobody expected is logged with its trace."""
    if isinstance(error, Retriable):
        log.warning("database_busy", error=str(error))
        error = Unavailable("The server is busy; try again")
    if isinstance(error, Full):
        error = InsufficientStorage("The server's disk is full; try again later")
    if isinstance(error, AWAY):
        # That has been logged, once for all requests that meet with it.
        error = Unavailable("The server's database is away; try again")
    if isinstance(error, BadValue):
        # Text that no column holds, in an ID or a name that nothing stored can have.
        error = InvalidParam("A value in the request cannot be one of this server's")
    if not isinstance(error, MatrixError):
        log.error("unhandled_exception", exc_info=error)
        return MatrixError("Internal server error", status=500)
    return error
