"""Errors of the log, sent to a Sentry too, or to what speaks its protocol (`palpo[sentry]`)."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from typing import Any

import sentry_sdk
from structlog.typing import EventDict, WrappedLogger

from palpo import __version__
from palpo.config.sections.logs import SentryConfig

A_MINUTE = 60
"""So many errors are sent in a minute: a report costs the event loop a millisecond."""
ID = re.compile(r"[@!#$+][^\s:'\"()]+(?::[\w.\-\[\]:]+)?")
"""What names a user, a room, an event or an alias."""
STOP_SECONDS = 2.0


class ErrorReports:
    """A processor of structlog's: reports what is logged with an exception, and leaves the line as it is.

    What is sent has the exceptions, where in the code they were raised, and the line's name: no values of
    variables, no requests, no addresses, and no IDs.
    """

    def __init__(self, config: SentryConfig, server_name: str, elapsed_s: Callable[[], float]) -> None:
        self._elapsed_s = elapsed_s
        self._minute = 0
        self._sent = 0
        sentry_sdk.init(
            dsn=config.dsn,
            release=f"palpo@{__version__}",
            environment=config.environment or None,
            server_name=server_name,
            default_integrations=False,
            auto_enabling_integrations=False,
            auto_session_tracking=False,
            enable_backpressure_handling=False,
            send_client_reports=False,
            include_local_variables=False,
            max_breadcrumbs=0,
            before_send=_without_ids,
        )

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        """Look at one line."""
        if event.get("exc_info") and event.get("level") in ("error", "critical"):
            error = _exception(event["exc_info"])
            if error is not None and self._may_send():
                with sentry_sdk.new_scope() as scope:
                    scope.set_tag("event", str(event["event"]))
                    sentry_sdk.capture_exception(error)
        return event

    def _may_send(self) -> bool:
        minute = int(self._elapsed_s() // 60)
        if minute != self._minute:
            self._minute, self._sent = minute, 0
        self._sent += 1
        return self._sent <= A_MINUTE

    def close(self) -> None:
        """Send what waits, for a moment."""
        sentry_sdk.flush(STOP_SECONDS)
        sentry_sdk.get_client().close(0)


def error_reports(config: SentryConfig, server_name: str) -> ErrorReports:
    """Begin to report."""
    return ErrorReports(config, server_name, time.monotonic)


def _exception(info: Any) -> BaseException | None:
    if isinstance(info, BaseException):
        return info
    if isinstance(info, tuple):
        found: BaseException | None = info[1]
        return found
    return sys.exc_info()[1]


def _without_ids(event: Any, _hint: Any) -> Any:
    for item in event.get("exception", {}).get("values", ()):
        item["value"] = ID.sub("(ID)", str(item.get("value") or ""))
    return event
