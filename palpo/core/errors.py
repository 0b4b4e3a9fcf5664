"""Every failure that a client or a remote server can be told about.

    MatrixError                     any error that has an ``errcode``
    ├── BadRequest          400     malformed or unacceptable input
    │   ├── NotJson         400     M_NOT_JSON
    │   ├── BadJson         400     M_BAD_JSON
    │   ├── MissingParam    400     M_MISSING_PARAM
    │   └── InvalidParam    400     M_INVALID_PARAM
    ├── Unauthorized        401
    │   ├── MissingToken    401     M_MISSING_TOKEN
    │   └── UnknownToken    401     M_UNKNOWN_TOKEN
    ├── Forbidden           403     M_FORBIDDEN
    │   ├── AuthError       403     an event the room's auth rules reject
    │   ├── UserLimitExceeded      403  M_USER_LIMIT_EXCEEDED
    │   └── ResourceLimitExceeded  403  M_RESOURCE_LIMIT_EXCEEDED
    ├── NotFound            404     M_NOT_FOUND
    ├── Unrecognized        404     M_UNRECOGNIZED
    │   └── WrongMethod     405     M_UNRECOGNIZED
    ├── Conflict            409
    ├── TooLarge            413     M_TOO_LARGE
    ├── LimitExceeded       429     M_LIMIT_EXCEEDED
    ├── InteractiveAuth     401     the user-interactive auth object
    └── Unavailable         503     a dependency is away for the moment

The tree belongs to the protocol, so it is pure; turning one into a response is ``palpo.api.errors``.
Spec: client-server API, "Standard error response".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class MatrixError(Exception):
    """An error with an HTTP status, an ``errcode``, a message for a person, and extra JSON fields."""

    status = 400
    errcode = "M_UNKNOWN"

    def __init__(
        self,
        message: str,
        *,
        errcode: str | None = None,
        status: int | None = None,
        fields: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        if errcode is not None:
            self.errcode = errcode
        if status is not None:
            self.status = status
        self.fields: dict[str, Any] = fields or {}

    def body(self) -> dict[str, Any]:
        """The JSON object that a response carries."""
        return {"errcode": self.errcode, "error": self.message, **self.fields}


class BadRequest(MatrixError):
    """The request cannot be carried out as it stands."""


class NotJson(BadRequest):
    """The body is not JSON at all."""

    errcode = "M_NOT_JSON"


class BadJson(BadRequest):
    """The body is JSON, but not of the shape that is asked for."""

    errcode = "M_BAD_JSON"


class MissingParam(BadRequest):
    """A required parameter is absent."""

    errcode = "M_MISSING_PARAM"


class InvalidParam(BadRequest):
    """A parameter has a value that is not allowed."""

    errcode = "M_INVALID_PARAM"


class Unauthorized(MatrixError):
    """The request does not prove who sends it."""

    status = 401
    errcode = "M_UNAUTHORIZED"


class MissingToken(Unauthorized):
    """No access token was given."""

    errcode = "M_MISSING_TOKEN"


class UnknownToken(Unauthorized):
    """The access token is not known (any more); ``soft_logout`` says that the device still is."""

    errcode = "M_UNKNOWN_TOKEN"

    def __init__(self, message: str, *, soft_logout: bool = False) -> None:
        super().__init__(message, fields={"soft_logout": True} if soft_logout else None)


class Forbidden(MatrixError):
    """Who sends it may not do this."""

    status = 403
    errcode = "M_FORBIDDEN"


class AuthError(Forbidden):
    """The room's authorization rules reject an event (spec: rooms/vN, "Authorization rules")."""


class UserLimitExceeded(Forbidden):
    """The user has as much of something as they may have; ``info_uri`` is for a person (MSC4335)."""

    errcode = "M_USER_LIMIT_EXCEEDED"

    def __init__(self, message: str, *, info_uri: str) -> None:
        super().__init__(message, fields={"info_uri": info_uri})


class ResourceLimitExceeded(Forbidden):
    """The server has as much of something as it may have; ``admin_contact`` is a URI (spec)."""

    errcode = "M_RESOURCE_LIMIT_EXCEEDED"

    def __init__(self, message: str, *, admin_contact: str) -> None:
        super().__init__(message, fields={"admin_contact": admin_contact})


class NotFound(MatrixError):
    """There is no such thing, or the sender may not know of it."""

    status = 404
    errcode = "M_NOT_FOUND"


class Unrecognized(MatrixError):
    """No such endpoint."""

    status = 404
    errcode = "M_UNRECOGNIZED"


class WrongMethod(Unrecognized):
    """An endpoint that has other methods: ``allowed``."""

    status = 405

    def __init__(self, message: str, *, allowed: Iterable[str]) -> None:
        super().__init__(message)
        self.allowed = tuple(allowed)


class Conflict(MatrixError):
    """The request collides with what is already there."""

    status = 409


class TooLarge(MatrixError):
    """The request, or the event it would make, is over a size limit."""

    status = 413
    errcode = "M_TOO_LARGE"


class LimitExceeded(MatrixError):
    """Too many requests; ``retry_after_ms`` says when to come back."""

    status = 429
    errcode = "M_LIMIT_EXCEEDED"

    def __init__(self, message: str = "Too many requests", *, retry_after_ms: int) -> None:
        super().__init__(message, fields={"retry_after_ms": retry_after_ms})
        self.retry_after_ms = retry_after_ms


class InteractiveAuth(MatrixError):
    """User-interactive authentication is wanted (spec: "User-interactive authentication API").

    The body is the auth object: ``flows``, ``params``, ``session``, ``completed``; ``errcode`` and
    ``error`` only where an attempted stage failed.
    """

    status = 401
    errcode = ""

    def __init__(self, auth: dict[str, Any], *, failure: MatrixError | None = None) -> None:
        super().__init__("User-interactive authentication required", fields=auth)
        self.failure = failure

    def body(self) -> dict[str, Any]:
        """The auth object, with the failed stage's error where there was one."""
        if self.failure is None:
            return dict(self.fields)
        return {**self.fields, "errcode": self.failure.errcode, "error": self.failure.message}


class Unavailable(MatrixError):
    """Something the server depends on is away for the moment; nothing was written."""

    status = 503


class InsufficientStorage(MatrixError):
    """A disk that the server needs is full; nothing was written.

    507 (RFC 4918 §11.5), so that clients try again later. The spec's M_RESOURCE_LIMIT_EXCEEDED is for
    limits that were set on the server, and has to name whom to ask for more.
    """

    status = 507
