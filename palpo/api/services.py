"""The container of services: made once by ``palpo.app``, seen by handlers and by nothing below."""

from __future__ import annotations

from dataclasses import dataclass

from palpo.config.model import Config
from palpo.db.engine import Database
from palpo.services.sessions import Sessions
from palpo.streams.clock import Clock
from palpo.streams.wakeups import Wakeups


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Every use case that the API offers."""

    config: Config
    clock: Clock
    db: Database
    wakeups: Wakeups
    sessions: Sessions
