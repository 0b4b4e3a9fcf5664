"""What no answer may be."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, MutableMapping
from typing import Any

from palpo_conformance.schema_check import SchemaChecker

from tests.fuzz.requests import Request
from tests.support.asgi import Answer

SLOW_SECONDS = 5.0
UNAVAILABLE = {(504, "M_NOT_YET_UPLOADED"), (502, "M_CONNECTION_FAILED"), (502, "M_CONNECTION_TIMEOUT"),
               (502, "M_BAD_STATUS"), (502, "M_UNKNOWN")}  # fmt: skip
"""Server errors that the spec names."""
AWAY = frozenset(
    {
        "bind3PID",
        "createRoom",
        "inviteUser",
        "post3PIDs",
        "requestTokenTo3PIDEmail",
        "requestTokenToRegisterEmail",
        "requestTokenToResetPasswordEmail",
        "unbind3pidFromAccount",
    }
)
"""What asks the mail server or an identity server: 503 says that it is away, as both are in these runs."""
UPLOADED = ("/one_time_keys/", "/device_keys/")
"""What one user has uploaded for others; the server passes it on."""
PAGES = "palpo."
"""Operations of pages for browsers, errors included."""


class Logs:
    """A structlog processor that keeps what should not have been logged."""

    def __init__(self) -> None:
        self.errors: list[str] = []

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        import traceback

        from structlog import DropEvent

        if method in ("error", "critical", "exception"):
            error = event.get("exc_info")
            error = sys.exc_info()[1] if error is True else error
            trace = "".join(traceback.format_exception(error)) if isinstance(error, BaseException) else ""
            self.errors.append(f"{event.get('event')}: {trace[-3000:]}")
        raise DropEvent

    def drain(self) -> list[str]:
        """What was logged since the last time."""
        errors, self.errors = self.errors, []
        return errors


class Oracle:
    """Judges answers."""

    def __init__(self) -> None:
        self._schemas = SchemaChecker()

    def problems(self, request: Request, answer: Answer) -> Iterator[str]:
        """What is wrong with an answer."""
        if not answer.complete:
            yield "no whole answer"
            return
        if answer.seconds > SLOW_SECONDS:
            yield f"took {answer.seconds:.1f} s"
        if request.method == "HEAD" and answer.body:
            yield "a body in answer to HEAD"
        if request.method == "HEAD" or request.operation_id.startswith(PAGES):
            # The body of an answer to HEAD would say which 504 it is.
            if answer.status >= 500 and (request.method, answer.status) != ("HEAD", 504):
                yield f"status {answer.status}"
            return
        if answer.status >= 400:
            yield from self._error(request, answer)
        is_json = answer.content_type.startswith("application/json")
        if is_json and request.method != "OPTIONS" and b"msc4140.delay" not in request.query:
            target = (request.raw_path + b"?" + request.query).decode("latin-1")
            for found in self._schemas.check(request.method, target, answer.status, answer.body):
                if found.pointer.startswith(UPLOADED):
                    continue
                yield f"schema: {answer.status} {found.pointer}: {found.message}"

    def _error(self, request: Request, answer: Answer) -> Iterator[str]:
        try:
            value = json.loads(answer.body)
        except ValueError:
            yield f"status {answer.status} and no JSON: {answer.body[:100]!r}"
            return
        errcode = value.get("errcode") if isinstance(value, dict) else None
        if not isinstance(errcode, str) and not (answer.status == 401 and "flows" in value):
            yield f"status {answer.status} and no errcode: {answer.body[:200]!r}"
        if answer.status == 503 and request.operation_id in AWAY:
            return
        if answer.status >= 500 and (answer.status, errcode) not in UNAVAILABLE:
            yield f"status {answer.status} {errcode}"
