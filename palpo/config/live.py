"""The configuration that is in force, and what of it changes while the server runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from palpo.config.errors import ConfigError
from palpo.config.model import Config
from palpo.config.places import OWN, check_places
from palpo.config.settings import changed, live_parts
from palpo.config.sources import ConfigSource

Listener = Callable[[Config], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a configuration comes to, by names of settings."""

    in_force: tuple[str, ...]
    """Taken over at once, or by the next reload."""
    needs_restart: tuple[str, ...]


class LiveConfig:
    """Takes over the settings that are ``LIVE``.

    There is one ``Config`` as long as the process lives, which everybody looks at: a reload changes it in its
    place, all at once, between two turns of the event loop. Who has made something of it listens.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.source: ConfigSource | None = None
        """Where it is from; None where it was made by hand."""
        self.told: Callable[[Change], None] = lambda _change: None
        """Is told of each change."""
        self._first: list[Callable[[], None]] = []
        self._next_start: list[Listener] = []
        self._listeners: list[Listener] = []

    def check_first(self, check: Callable[[], None]) -> None:
        """Have ``check`` called at each reload before anything changes; what it raises ends the reload."""
        self._first.append(check)

    def check_next_start(self, check: Listener) -> None:
        """Have ``check`` called with what a start would find; it raises ConfigError where that is no use."""
        self._next_start.append(check)

    def listen(self, listener: Listener) -> None:
        """Have ``listener`` called with the configuration whenever it has changed."""
        self._listeners.append(listener)

    def change(self, new: Config) -> Change:
        """What would be in force with ``new``, and what would not before a restart."""
        found = changed(self.config, new)
        return Change(
            in_force=tuple(item.name for item in found if item.live),
            needs_restart=tuple(item.name for item in found if not item.live),
        )

    def refuse_what_cannot_start(self, new: Config) -> None:
        """Raise ConfigError where this server would not start again with ``new``.

        Nor with another name, data folder or database, which would be another server: that is changed while
        none runs.
        """
        for item in changed(self.config, new):
            if item.name in OWN:
                raise ConfigError(f"{item.name}: it cannot be changed while the server runs: stop it first")
        check_places(new)
        for check in self._next_start:
            check(new)

    def reload(self) -> Change:
        """Read it again and take over what can be.

        Raises ConfigError or OSError, and then nothing has changed.
        """
        new = self.config if self.source is None else self.source.load()
        for check in self._first:
            check()
        return self.adopt(new)

    def adopt(self, new: Config) -> Change:
        """Take over what can be of ``new``."""
        change = self.change(new)
        for name, value in live_parts(self.config, new).items():
            msgspec.structs.force_setattr(self.config, name, value)
        for listener in self._listeners:
            listener(self.config)
        self.told(change)
        return change
