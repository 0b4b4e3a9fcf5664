"""Has the server start anew, as an administrator asks for it."""

from __future__ import annotations

from collections.abc import Callable

from palpo.config.errors import ConfigError
from palpo.config.live import LiveConfig
from palpo.core.errors import Conflict


class Restarts:
    """What can be had anew is the process: who runs it says how (``carried_out_by``)."""

    def __init__(self, live: LiveConfig) -> None:
        self._live = live
        self._begin: Callable[[], None] | None = None

    def carried_out_by(self, begin: Callable[[], None]) -> None:
        """Have restarts begin so: requests under way are answered first."""
        self._begin = begin

    @property
    def possible(self) -> bool:
        """Whether this process can start itself anew."""
        return self._begin is not None

    def begin(self) -> None:
        """Begin; raises Conflict where that cannot be done from here, or the server would not start again."""
        if self._begin is None:
            raise Conflict("This process cannot start itself anew: restart it by what runs it")
        if self._live.source is not None:
            try:
                self._live.refuse_what_cannot_start(self._live.source.load())
            except (ConfigError, OSError) as error:
                raise Conflict(f"The server would not start again, and goes on: {error}") from error
        self._begin()
