"""Logs, reports of errors, and traces."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from palpo.config.marks import LIVE
from palpo.config.section import Section


class LogConfig(Section, frozen=True):
    """Logs.

    They never make the server wait: lines that nobody reads are dropped, counted in the metrics
    (`palpo_log_lines_dropped_total`), and told of in a line once somebody reads again.
    """

    level: Annotated[
        str,
        Meta(pattern="^(debug|info|warning|error)$", description="`debug`, `info`, `warning` or `error`."),
        LIVE,
    ] = "info"
    format: Annotated[
        str, Meta(pattern="^(json|text)$", description="`json`, one object a line, or `text` for people.")
    ] = "json"
    requests: Annotated[bool, Meta(description="One line a request.")] = True
    file: Annotated[
        Path | None, Meta(description="File to append to, reopened on SIGHUP; none: standard error.")
    ] = None
    held_ms: Annotated[
        int,
        Meta(
            ge=0,
            description="Milliseconds of processor time for which one turn of the event loop may last before "
            "a line says what it was at (`event_loop_held`); 0: that is not watched. It costs a little.",
        ),
    ] = 0


class SentryConfig(Section, frozen=True):
    """Errors of the log are sent to a Sentry too, or to what speaks its protocol (`palpo[sentry]`)."""

    dsn: Annotated[
        str, Meta(pattern="^(https?://.+@.+/.+)?$", description="Where to, as Sentry has it; empty: nowhere.")
    ] = ""
    environment: Annotated[str, Meta(description="What kind of server it is, such as `production`.")] = ""


class TracingConfig(Section, frozen=True):
    """Traces of requests, transactions and federation, by OpenTelemetry (`palpo[tracing]`)."""

    endpoint: Annotated[
        str,
        Meta(
            pattern="^(https?://.+)?$",
            description="Where to, by OTLP over HTTP, as `http://127.0.0.1:4318`; empty: nowhere.",
        ),
    ] = ""
    sample: Annotated[float, Meta(ge=0, le=1, description="Which part of all requests is traced.")] = 0.1
