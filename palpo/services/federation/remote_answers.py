"""What other servers answer, held to the types of ``palpo.wire``; and what clients are told of failures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec
import structlog

from palpo.core.errors import InvalidParam, MatrixError, NotFound
from palpo.net.federation_errors import FederationError, ServerError

log = structlog.get_logger("palpo.federation")
T = TypeVar("T")


class Malformed(NotFound):
    """The answer is not of the shape that the spec has."""


def convert(answer: Mapping[str, Any], kind: type[T]) -> T:
    """An answer as one of the types of ``palpo.wire``; raises Malformed."""
    try:
        return msgspec.convert(answer, kind)
    except (msgspec.ValidationError, InvalidParam) as error:
        raise Malformed(f"The other server's answer is malformed: {error}") from error


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

    Its status and its ``errcode`` where it refused (4xx); of everything else, 404 and no details, as they may
    tell of the operator's own network.
    """
    if isinstance(error, ServerError) and 400 <= error.status < 500:
        return MatrixError(error.message, status=error.status, errcode=error.errcode or None)
    return NotFound("The other server cannot be asked")
