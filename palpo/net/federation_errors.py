"""Why another homeserver gave no answer of use.

FederationError
├── ServerNotFound          the name leads to no address
│   └── ServerNotPermitted  the configuration has it left alone
├── ServerUnreachable       no connection, none that is permitted, no proof of its name, or it broke
│   └── ServerTimedOut      the time that was given ran out
├── ServerError             it answered with a status of failure, and mostly a Matrix error
└── BadAnswer               its answer cannot be read
    └── AnswerTooLarge      or is over the size that was given

Messages are for logs and operators: they may tell of the operator's own network. Only that of a ServerError
is what the other server said.
"""

from __future__ import annotations


class FederationError(Exception):
    """``server`` is the name of the server that was to be asked."""

    def __init__(self, server: str, message: str) -> None:
        super().__init__(f"{server}: {message}")
        self.server = server
        self.message = message


class ServerNotFound(FederationError):
    """The name leads to no address."""


class ServerNotPermitted(ServerNotFound):
    """Its name is not one to speak to (``[federation] enabled``, ``allow``, ``deny``)."""


class ServerUnreachable(FederationError):
    """No connection could be made, or it broke: whether the request was carried out is not known."""


class ServerTimedOut(ServerUnreachable):
    """There was no whole answer in time."""


class ServerError(FederationError):
    """The server answered, and not with success. ``message`` is what it says for people."""

    def __init__(
        self, server: str, message: str, *, status: int, errcode: str = "", retry_after_ms: int | None = None
    ) -> None:
        """``errcode`` is empty where there is none; ``retry_after_ms`` None where nothing is said of it."""
        super().__init__(server, message)
        self.status = status
        self.errcode = errcode
        self.retry_after_ms = retry_after_ms


class BadAnswer(FederationError):
    """The answer is not what HTTP, its encoding or JSON would have it be."""


class AnswerTooLarge(BadAnswer):
    """The answer is over the size that was given."""
