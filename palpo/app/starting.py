"""Begins what a server does of its own accord, which a command of the shell does not."""

from __future__ import annotations

import secrets

from palpo.api.services import Services
from palpo.db.connect import database_statistics
from palpo.services.appservices.appservice_interests import Interests
from palpo.services.appservices.appservice_transactions import AppserviceTransactions
from palpo.storage.leases import DatabaseLeases
from palpo.streams.leases import LeaseKeeper
from palpo.workers.appservices import AppserviceSender
from palpo.workers.media import MediaSweeper
from palpo.workers.pushers import PushWorker
from palpo.workers.search import SearchWorker
from palpo.workers.statistics import StatisticsWorker
from palpo.workers.sweeps import Sweeper


async def start(services: Services) -> None:
    """Begin it all; it goes on as long as the services are there."""
    server, personal, reading = services.server, services.personal, services.reading
    background = server.background
    keeper = LeaseKeeper(DatabaseLeases(server.db), server.clock, holder=secrets.token_hex(8))
    await start_appservices(services, keeper)
    background.start("deactivations", services.accounts.accounts.finish_deactivations())
    await services.rooms.server_notices.prepare()
    background.start("delayed-events", services.rooms.delayed_events.run())
    background.start("last-seen", services.accounts.last_seen.run())
    background.start("typing", personal.typing.run())
    background.start("presence", personal.presence.run())
    await start_pushers(services, keeper)
    search_worker = SearchWorker(reading.search_index, reading.user_directory, server.wakeups)
    background.start("search", keeper.run("search", search_worker.work))
    statistics = database_statistics(server.config.database_url)
    if statistics is not None:
        background.start("statistics", StatisticsWorker(statistics).run())
    background.start("media", keeper.run("media", MediaSweeper(services.media.media_cleanup).run))
    background.start("sweeps", keeper.run("sweeps", Sweeper(server.db, server.clock).run))


async def start_appservices(services: Services, keeper: LeaseKeeper) -> None:
    """Make the application services' own users, and begin to send to those that want it."""
    await services.accounts.appservices.ensure_senders()
    server, appservices = services.server, services.appservices
    for registration in server.registrations:
        if registration.url is None:
            continue
        sender = AppserviceSender(
            registration,
            server.db,
            server.wakeups,
            AppserviceTransactions(
                registration,
                server.db,
                services.history.events,
                services.reading.client_events,
                services.personal,
                services.encryption.keys,
                Interests(registration, server.db, services.history.events, server.caches),
                server.caches,
            ),
            appservices.appservice_client,
            appservices.appservice_queries.there[registration.id],
            random_prefix=lambda: secrets.token_hex(4),
        )
        await sender.prepare()
        server.background.start(sender.name, keeper.run(sender.name, sender.run))


async def start_pushers(services: Services, keeper: LeaseKeeper) -> None:
    """Begin to tell pushers of what happens."""
    server = services.server
    worker = PushWorker(
        server.db,
        server.clock,
        server.wakeups,
        services.history.events,
        services.push.push_judge,
        services.push.push_delivery,
        digest_delay_ms=server.config.email.digest_delay_seconds * 1000,
    )
    await worker.prepare()
    server.background.start("pushers", keeper.run("pushers", worker.run))
