"""All checks, one after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from palpo.core.errors import NotFound
from palpo.net.addresses import AddressPolicy
from palpo.net.http_client import HttpClient
from palpo.services.administration.backups.backups import Backups
from palpo.services.administration.doctor.checks import Check, ok, problem, warning
from palpo.services.administration.doctor.database import look_at_database
from palpo.services.administration.doctor.delegation import DelegationView
from palpo.services.administration.doctor.machine import look_at_machine
from palpo.services.administration.doctor.outside import Outside
from palpo.services.administration.doctor.settings import look_at_settings
from palpo.services.administration.server_checks import ServerChecks
from palpo.services.server import Server

ANYWHERE = ("0.0.0.0/0", "::/0")
LATE = 2
"""So many times the time from one backup to the next is too long."""
USER_AGENT = "Palpo (doctor)"


class Doctor:
    """Looks at the server, from inside and from outside."""

    def __init__(self, server: Server, checks: ServerChecks, backups: Backups) -> None:
        self._server = server
        self._backups = backups
        self._checks = checks

    async def look(self, *, outside: bool = True, clock: str = "") -> AsyncIterator[Check]:
        """What is found, as it is found; it takes up to a minute.

        Without ``outside`` nothing is asked over the network but the database. ``clock`` is a host, or URL,
        whose clock this machine's is compared with.
        """
        server, config = self._server, self._server.config
        for check in look_at_machine(config, () if server.live.source is None else server.live.source.paths):
            yield check
        for check in look_at_settings(config):
            yield check
        async for check in look_at_database(server):
            yield check
        yield await self._backup()
        if outside:
            async with self._view() as view:
                async for check in self._outside(view, clock):
                    yield check
            async for check in self._delegation():
                yield check

    async def appservices(self, only: str | None = None) -> list[Check]:
        """Whether application services answer, or one of them; raises NotFound."""
        known = self._server.registrations
        if only is not None and all(item.id != only for item in known):
            raise NotFound("There is no such application service")
        wanted = {item.id: item.url for item in known if item.url is not None and only in (None, item.id)}
        async with self._view() as view:
            return [check async for check in view.appservices(wanted)]

    async def _backup(self) -> Check:
        name, config = "backups", self._server.config.backup
        if config.folder is None:
            text = "the server makes none"
            return warning(name, text, "set backup.folder, unless something else makes them")
        found = await self._backups.all()
        if not found:
            return problem(name, f"there is none in {config.folder}", "see palpo jobs list --kind backup")
        hours = (self._server.clock.now_ms() - found[0][1].created_ts) / 3_600_000
        text = f"{len(found)} in {config.folder}, the newest of {hours:.0f} hours ago"
        if hours > LATE * config.every_hours:
            return problem(name, text, "see palpo jobs list --kind backup")
        return ok(name, text)

    async def _delegation(self) -> AsyncIterator[Check]:
        if self._server.config.delegated:
            async with self._client() as http:
                async for check in DelegationView(self._server.config.oauth.delegation, http).look():
                    yield check

    @asynccontextmanager
    async def _view(self) -> AsyncIterator[Outside]:
        async with self._client() as http:
            yield Outside(self._server.config, self._server.clock, http)

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[HttpClient]:
        http = HttpClient(AddressPolicy(ANYWHERE), user_agent=USER_AGENT)
        try:
            yield http
        finally:
            await http.close()

    async def _outside(self, view: Outside, clock: str) -> AsyncIterator[Check]:
        async for check in view.clients():
            yield check
        async for check in view.federation(self._checks):
            yield check
        urls = {item.id: item.url for item in self._server.registrations if item.url is not None}
        async for check in view.appservices(urls):
            yield check
        if clock:
            yield await view.clock_of(clock)
