"""Why there is no run: the two kinds of errors that end one before its first test."""

from __future__ import annotations


class NotRun(RuntimeError):
    """The suite or Go is missing, so nothing was run; the text says what was tried."""


class SetupFailed(RuntimeError):
    """What the run needs could not be made ready, or its input was wrong; the text says why."""
