"""Whether something the server depends on works, as the last attempt to use it has shown."""

from __future__ import annotations

import structlog

log = structlog.get_logger("palpo.conditions")


class Condition:
    """Says in the log when something ceases to work and when it works again, not at every attempt."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.error: str | None = None
        """What the last attempt has failed with; None where it has not failed."""

    def failed(self, error: Exception | str) -> None:
        """Note an attempt that has failed."""
        if self.error is None:
            log.error("not_working", part=self.name, error=str(error))
        self.error = str(error)

    def works(self) -> None:
        """Note one that has not."""
        if self.error is not None:
            log.warning("working_again", part=self.name)
            self.error = None
