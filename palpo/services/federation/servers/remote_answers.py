"""What other servers answer, held to the types of ``palpo.wire``; and what clients are told of failures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec
import structlog

from palpo.core.errors import Forbidden, InvalidParam, MatrixError, NotFound
from palpo.net.federation_answer import FederationAnswer
from palpo.net.federation_errors import FederationError, ServerError

log = structlog.get_logger("palpo.federation")
T = TypeVar("T")

OF_SESSIONS = frozenset(
    ("M_UNAUTHORIZED", "M_UNKNOWN_TOKEN", "M_MISSING_TOKEN", "M_USER_LOCKED", "M_USER_SUSPENDED")
)
"""Errors that tell a client about its own session."""


class Malformed(NotFound):
    """The answer is not of the shape that the spec has."""


def convert(answer: Any, kind: type[T]) -> T:
    """An answer as one of the types of ``palpo.wire``; raises Malformed."""
    try:
        return msgspec.convert(answer, kind)
    except (msgspec.ValidationError, InvalidParam) as error:
        raise Malformed(f"The other server's answer is malformed: {error}") from error


async def read(answer: FederationAnswer, kind: type[T]) -> T:
    """The object that a server answers, or ``[200, object]``, as first versions of endpoints have it.

    Raises FederationError, Malformed.
    """
    value = await answer.value()
    return convert(value[1] if isinstance(value, list) and len(value) == 2 else value, kind)


@contextmanager
def or_not_found(what: str) -> Iterator[None]:
    """Have it be NotFound that another server knows nothing, or cannot be asked; ``what`` says of what."""
    try:
        yield
    except (FederationError, Malformed) as error:
        log.info("remote_refused", error=str(error)[:500])
        raise NotFound(what) from error


def told(error: FederationError) -> MatrixError:
    """The error of another server, for the client on whose behalf it was asked.

    Its status and its ``errcode`` where it refused (4xx), unless that is of the session: no other server may
    log our users out. Of everything else, 404 and no details, as they may tell of the operator's own network.
    """
    if not isinstance(error, ServerError) or not 400 <= error.status < 500:
        return NotFound("The other server cannot be asked")
    if error.status == 401 or error.errcode in OF_SESSIONS:
        return Forbidden(error.message)
    return MatrixError(error.message, status=error.status, errcode=error.errcode or None)
