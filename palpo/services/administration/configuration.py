"""The configuration as administrators see it and change it, in its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from palpo.config.errors import ConfigError
from palpo.config.live import Change, LiveConfig
from palpo.config.model import Config
from palpo.config.settings import Setting, settings, shown_value
from palpo.config.sources import DEFAULT, ConfigSource, known
from palpo.core.errors import Conflict, InvalidParam
from palpo.services.server import Server

FAILED = "The configuration cannot be used, and nothing has changed: "


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSetting:
    """A setting with its value."""

    setting: Setting
    value: Any
    """As plain JSON; a secret is hidden."""
    source: str
    """Where it is set; ``default`` where it is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What changes would come to."""

    problem: str
    """Why they cannot be made; empty where they can."""
    in_force: tuple[str, ...] = ()
    """Settings that would be taken over at once."""
    needs_restart: tuple[str, ...] = ()


class ConfigurationAdministration:
    """Shows settings, checks changes before they apply, and makes them."""

    def __init__(self, server: Server) -> None:
        self._live: LiveConfig = server.live

    def shown(self) -> list[ShownSetting]:
        """Every setting, as it is in force, and where it is set; raises Conflict."""
        try:
            origins = {} if self._live.source is None else self._live.source.origins()
        except ConfigError as error:
            raise Conflict(f"{FAILED}{error}") from error
        return [
            ShownSetting(
                setting=setting,
                value=shown_value(self._live.config, setting),
                source=origins.get(where, DEFAULT),
            )
            for where, setting in settings().items()
        ]

    def proposed(self, changes: Mapping[str, Any]) -> Proposal:
        """What changes of settings, by name, would come to; None takes one out of its file."""
        try:
            new = self._proposed(changes)
        except ConfigError as error:
            return Proposal(problem=str(error))
        change = self._live.change(new)
        return Proposal(problem="", in_force=change.in_force, needs_restart=change.needs_restart)

    def apply(self, changes: Mapping[str, Any]) -> Change:
        """Change the files, and take over what can be; raises InvalidParam, and then nothing has changed."""
        try:
            self._proposed(changes)
            self._source().write({known(name): value for name, value in changes.items()})
        except ConfigError as error:
            raise InvalidParam(str(error)) from error
        return self.reload()

    def reload(self) -> Change:
        """Read the files again, as SIGHUP has it done.

        Raises Conflict where they cannot be used, or there are none.
        """
        self._source()
        try:
            return self._live.reload()
        except (ConfigError, OSError) as error:
            raise Conflict(f"{FAILED}{error}") from error

    def _proposed(self, changes: Mapping[str, Any]) -> Config:
        """What the changes come to; raises ConfigError where the server would not start again with it."""
        new = self._source().proposed({known(name): value for name, value in changes.items()})
        self._live.refuse_what_cannot_start(new)
        return new

    def _source(self) -> ConfigSource:
        if self._live.source is None:
            raise Conflict("This process does not know where its configuration is from")
        return self._live.source
