"""All checks, one after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator

from palpo.net.addresses import AddressPolicy
from palpo.net.http_client import HttpClient
from palpo.services.administration.doctor.checks import Check
from palpo.services.administration.doctor.database import look_at_database
from palpo.services.administration.doctor.machine import look_at_machine
from palpo.services.administration.doctor.outside import Outside
from palpo.services.administration.doctor.settings import look_at_settings
from palpo.services.administration.server_checks import ServerChecks
from palpo.services.server import Server

ANYWHERE = ("0.0.0.0/0", "::/0")
USER_AGENT = "Palpo (doctor)"


class Doctor:
    """Looks at the server, from inside and from outside."""

    def __init__(self, server: Server, checks: ServerChecks) -> None:
        self._server = server
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
        if not outside:
            return
        http = HttpClient(AddressPolicy(ANYWHERE), user_agent=USER_AGENT)
        try:
            async for check in self._outside(Outside(config, server.clock, http), clock):
                yield check
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
