"""Begins what a server does of its own accord, which a command of the shell does not."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from palpo.api.services import Services
from palpo.app.composition.job_handlers import job_handlers
from palpo.db.connect import database_statistics
from palpo.db.leases import holder_of
from palpo.services.appservices.appservice_interests import Interests
from palpo.services.appservices.appservice_transactions import AppserviceTransactions
from palpo.streams.consumers import Consumer
from palpo.streams.leases import LeaseKeeper
from palpo.workers.appservices import DELIVERY, AppserviceSender, Delivery
from palpo.workers.backups import BackupScheduler
from palpo.workers.device_list_teller import DeviceListTeller
from palpo.workers.device_lists import DeviceListWorker
from palpo.workers.federation_sender import FederationSender
from palpo.workers.jobs import JobWorker
from palpo.workers.media import MediaSweeper
from palpo.workers.pushers import PushWorker
from palpo.workers.remote_presence import RemotePresenceWorker
from palpo.workers.retention import RetentionWorker
from palpo.workers.room_summaries import RoomSummaryWorker
from palpo.workers.statistics import StatisticsWorker
from palpo.workers.sweeps import Sweeper
from palpo.workers.upstream_sessions import UpstreamSessionWorker


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """What the metrics tell of."""

    consumers: Sequence[Consumer]
    federation_sender: FederationSender | None
    """None where this server does not federate."""


async def start(services: Services, delivery: Delivery = DELIVERY) -> Started:
    """Begin it all, which goes on as long as the services are there."""
    server, personal = services.server, services.personal
    background = server.background
    keeper = LeaseKeeper(
        server.db, server.clock, holder=holder_of(secrets.token_hex(8), server.config.database_url)
    )
    await services.accounts.appservices.ensure_senders()
    consumers = [
        *appservice_consumers(services, delivery),
        push_consumer(services),
        services.reading.search_index.consumer,
    ]
    sender = federation_sender(services) if server.config.federation.enabled else None
    if sender is not None:
        consumers.append(sender.consumer)
        teller = DeviceListTeller(server.name, server.db, server.wakeups, services.history.events)
        consumers.append(teller.consumer)
    for consumer in consumers:
        await consumer.prepare()
        background.start(consumer.name, keeper.run(consumer.name, consumer.run))
    background.start("deactivations", services.accounts.accounts.finish_deactivations())
    await services.rooms.server_notices.prepare()
    background.start("delayed-events", services.rooms.delayed_events.run())
    background.start("last-seen", services.accounts.last_seen.run())
    background.start("media-accesses", services.media.media_accesses.run())
    background.start("typing", personal.typing.run())
    background.start("presence", personal.presence.run())
    background.start("gaps", keeper.run("gaps", services.federation.gaps.run))
    statistics = database_statistics(server.config.database_url)
    if statistics is not None:
        background.start("statistics", StatisticsWorker(statistics).run())
    updates = server.background_updates
    also = [services.administration.leftover_media.begin, services.administration.state_sweep.begin_if_due]
    media = MediaSweeper(services.media.media_cleanup, also=also)
    background.start("media", keeper.run("media", updates.while_enabled(media.run)))
    summaries = RoomSummaryWorker(services.administration.room_lists)
    background.start("room-summaries", keeper.run("room-summaries", updates.while_enabled(summaries.run)))
    if server.config.federation.enabled:
        partial = services.federation.partial_rooms
        background.start("partial-rooms", keeper.run("partial-rooms", partial.run))
        lists = DeviceListWorker(services.federation.remote_device_lists)
        background.start("device-lists", keeper.run("device-lists", lists.run))
        elsewhere = RemotePresenceWorker(
            services.federation.destinations, personal.presence, server.wakeups, server.clock
        )
        background.start("remote-presence", keeper.run("remote-presence", elsewhere.run))
    if services.sign_on.renewals.wanted:
        renewals = UpstreamSessionWorker(services.sign_on.renewals)
        background.start("upstream-sessions", keeper.run("upstream-sessions", renewals.run))
    if server.config.retention.enabled:
        retention = RetentionWorker(
            services.administration.retention_sweep, period_s=server.config.retention.interval_hours * 3600
        )
        background.start("retention", keeper.run("retention", updates.while_enabled(retention.run)))
    jobs = JobWorker(
        server.db,
        server.clock,
        server.wakeups,
        job_handlers(services),
        held_back=services.administration.background_updates.held_back,
    )
    background.start("jobs", keeper.run("jobs", jobs.run))
    if server.config.backup.folder is not None:
        scheduler = BackupScheduler(services.administration.backups)
        background.start("backups", keeper.run("backups", scheduler.run))
    sweeper = Sweeper(server.db, server.clock)
    background.start("sweeps", keeper.run("sweeps", updates.while_enabled(sweeper.run)))
    return Started(consumers=consumers, federation_sender=sender)


def appservice_consumers(services: Services, delivery: Delivery) -> Iterator[Consumer]:
    """Those that send to application services that want it."""
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
                server,
                services.history.events,
                services.reading.client_events,
                services.personal,
                services.encryption.keys,
                Interests(registration, server.db, services.history.events, server.caches),
                max_users=delivery.max_users,
            ),
            appservices.appservice_client,
            appservices.appservice_queries.there[registration.id],
            random_prefix=lambda: secrets.token_hex(4),
            delivery=delivery,
        )
        yield sender.consumer


def federation_sender(services: Services) -> FederationSender:
    """The one that tells other servers of what happens."""
    server, federation = services.server, services.federation
    return FederationSender(
        server.db,
        server.clock,
        server.wakeups,
        federation.fan_out,
        federation.outgoing_transactions,
        federation.outgoing_edus,
        federation.told_servers,
        federation.news,
    )


def push_consumer(services: Services) -> Consumer:
    """The one that tells pushers of what happens."""
    server = services.server
    return PushWorker(
        server.db,
        server.clock,
        server.wakeups,
        services.history.events,
        services.push.push_judge,
        services.push.push_delivery,
        digest_delay_ms=server.config.email.digest_delay_seconds * 1000,
    ).consumer
