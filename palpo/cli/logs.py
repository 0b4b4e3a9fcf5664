"""Structured logs: of a command to standard error, of a server through a writer that never waits."""

from __future__ import annotations

import atexit
import json
import logging
import sys
import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TextIO, cast

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from palpo.cli.log_writer import LogWriter, WriterStream
from palpo.config.errors import ConfigError
from palpo.config.sections.logs import LogConfig


class _StandardError:
    """``sys.stderr`` as it is when something is written: loggers are kept, and it may be replaced."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


class _Logger(structlog.make_filtering_bound_logger(logging.DEBUG)):  # type: ignore[misc]
    """Every logger that there is; ``set_level`` changes what they let through."""


def configure_logging(config: LogConfig) -> None:
    """Send structured logs, and those of libraries, to standard error: what a command does."""
    handler = _configure(config, cast(TextIO, _StandardError()))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def start_log_writer(
    config: LogConfig, *, report: Processor | None = None, keep: Processor | None = None
) -> LogWriter:
    """Send logs, and whatever else is printed to ``sys.stderr``, through a LogWriter: what a server does.

    It is closed when the process ends. ``report`` sees each line before its exception is made text, and
    ``keep`` after that. Raises ConfigError where ``config.file`` cannot be written.
    """
    renderer = _renderer(config, colors=False)

    def dropped_line(count: int) -> str:
        event: EventDict = {
            "event": f"{count} lines dropped",
            "level": "warning",
            "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        }
        return f"{renderer(None, 'warning', event)}\n"

    try:
        writer = LogWriter(config.file, dropped_line=dropped_line)
    except OSError as error:
        raise ConfigError(f"log.file: {config.file}: {error.strerror}") from error
    atexit.register(writer.close)
    sys.stderr = cast(TextIO, WriterStream(writer))
    handler = _configure(config, cast(TextIO, writer), report, keep)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(True)
    _log_crashes()
    return writer


def set_level(level: str) -> None:
    """Let through what is of ``level`` and above, by the loggers that are in use too."""
    wanted = structlog.make_filtering_bound_logger(logging.getLevelName(level.upper()))
    for name, method in vars(wanted).items():
        if not name.startswith("__"):
            setattr(_Logger, name, method)


def _configure(
    config: LogConfig, file: TextIO, report: Processor | None = None, keep: Processor | None = None
) -> logging.Handler:
    """Set structlog up; the handler by which the logs of libraries go the same way."""
    set_level(config.level)
    renderer = _renderer(config, colors=config.file is None and sys.stderr.isatty())
    common: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        *([report] if report is not None else []),
        structlog.processors.format_exc_info,
        *([keep] if keep is not None else []),
    ]
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, *common, renderer],
        wrapper_class=_Logger,
        logger_factory=structlog.WriteLoggerFactory(file),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(file)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *common],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    return handler


def _renderer(config: LogConfig, *, colors: bool) -> Any:
    if config.format == "json":
        return structlog.processors.JSONRenderer(serializer=_as_json)
    return structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)


def _as_json(event: EventDict, **_: Any) -> str:
    try:
        return orjson.dumps(event, default=repr).decode()
    except TypeError:  # Half a surrogate pair, or an integer of more than 64 bits.
        return json.dumps(event, default=repr)


def _log_crashes() -> None:
    """Log what would be printed of an exception that nobody caught."""
    log: WrappedLogger = structlog.get_logger("palpo")

    def crashed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            log.critical("crashed", exc_info=(kind, error, trace))

    def thread_crashed(caught: threading.ExceptHookArgs) -> None:
        if caught.exc_type is not SystemExit and caught.exc_value is not None:
            crashed(caught.exc_type, caught.exc_value, caught.exc_traceback)

    sys.excepthook = crashed
    threading.excepthook = thread_crashed
