"""The composition root: the only package that constructs services, and what runs as long as they do."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from functools import partial

import structlog
from prometheus_client import CollectorRegistry, Histogram

from palpo.api.app import PalpoApp
from palpo.api.authentication import Authenticator
from palpo.api.cache_metrics import CacheMetrics
from palpo.api.dispatch import Dispatcher
from palpo.api.limits import Limiter
from palpo.api.modules import handlers
from palpo.api.observers import Metrics, Observer, RequestLog
from palpo.api.services import Services
from palpo.app.composition import Composition
from palpo.config.data_folder import DataFolder
from palpo.config.model import Config
from palpo.db.connect import create_engine, database_statistics
from palpo.db.engine import Database
from palpo.services.appservices.appservice_transactions import AppserviceTransactions
from palpo.services.server.server_identity import ServerIdentity
from palpo.storage.leases import DatabaseLeases
from palpo.streams.background import Background
from palpo.streams.caches import MEBIBYTE, CacheBudget
from palpo.streams.clock import Clock, SystemClock
from palpo.streams.fair_reads import FairReads
from palpo.streams.leases import LeaseKeeper
from palpo.streams.loop_watch import Held, LoopWatch, heartbeat
from palpo.streams.polling import read_position
from palpo.streams.processes import create_wakeups
from palpo.streams.wakeups import Wakeups
from palpo.wire.endpoint import Limit
from palpo.workers.appservices import AppserviceSender
from palpo.workers.media import MediaSweeper
from palpo.workers.pushers import PushWorker
from palpo.workers.search import SearchWorker
from palpo.workers.statistics import StatisticsWorker
from palpo.workers.sweeps import Sweeper

log = structlog.get_logger("palpo.app")

LATE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


@asynccontextmanager
async def opened(config: Config) -> AsyncIterator[Database]:
    """The database, without a service over it."""
    db = Database(create_engine(config.database_url))
    await db.open()
    try:
        yield db
    finally:
        await db.close()


def identity_of(config: Config, db: Database) -> ServerIdentity:
    """What holds the configuration, its data folder and its database together."""
    folder = DataFolder(config.data)
    return ServerIdentity(db, folder, config.server_name, random_id=lambda: secrets.token_hex(8))


@asynccontextmanager
async def built(config: Config, *, clock: Clock | None = None) -> AsyncIterator[Services]:
    """Every service, over an open database: what a command of the shell needs beside a running server.

    Other processes hear of what is written here. Nothing is begun: no lease is taken, nothing is sent,
    no account is made. The database must be migrated already (``palpo migrate``).
    """
    clock = clock or SystemClock()
    wakeups = Wakeups()
    background = Background()
    caches = CacheBudget(config.caches.megabytes * MEBIBYTE)
    closing = AsyncExitStack()
    patience_s = config.database.timeout_seconds
    db = Database(create_engine(config.database_url, patience_s=patience_s, sharing=FairReads()))
    link = create_wakeups(
        db,
        database_url=config.database_url,
        redis_url=config.redis_url or None,
        known=lambda: wakeups.position,
    )
    db.listen(wakeups.on_commit)
    db.listen(link.publish)
    await db.open()
    try:
        identity = await identity_of(config, db).establish()
        closing.callback(identity.mark.close)
        wakeups.subscribe(lambda commit: identity.mark.note(commit.position))
        await link.start(wakeups.on_commit)
        wakeups.start(await db.read(read_position))
        services = Composition(config, clock, db, wakeups, background, identity, caches).services()
        closing.push_async_callback(services.http.close)
        closing.push_async_callback(services.images.close)
        if services.mailer is not None:
            closing.push_async_callback(services.mailer.close)
        closing.push_async_callback(services.appservice_client.close)
        # Like the database's own writer: it does what the others ask of it, and nothing of its own accord.
        background.start("room-writer", services.room_writer.run())
        yield services
    finally:
        wakeups.close()
        await background.stop()
        await closing.aclose()
        await link.stop()
        await db.close()


@asynccontextmanager
async def application(
    config: Config, *, clock: Clock | None = None, observers: Iterable[Observer] = ()
) -> AsyncIterator[PalpoApp]:
    """The running application: what is built, its work in the background, and who answers requests."""
    async with built(config, clock=clock) as services:
        limiter = Limiter(config.rate_limits, services.clock.elapsed_s)
        services.delayed_events.charge_with(partial(limiter.charge, Limit.MESSAGE))
        await start(services)
        registry = CollectorRegistry()
        watching: list[Observer] = [Metrics(registry), *observers]
        registry.register(CacheMetrics(services.caches))
        if config.log.requests:
            watching.append(RequestLog())
        dispatcher = Dispatcher(
            services,
            handlers(),
            authenticator=Authenticator(services.sessions, services.appservices, services.last_seen),
            limiter=limiter,
            observers=watching,
            request_prefix=secrets.token_hex(4),
        )
        with watched_loop(services, registry, held_ms=config.log.held_ms):
            yield PalpoApp(dispatcher, services, registry)


@contextmanager
def watched_loop(services: Services, registry: CollectorRegistry, *, held_ms: int) -> Iterator[None]:
    """Measure how late the event loop is, and, with ``held_ms``, log what holds it for longer."""
    late = Histogram(
        "palpo_loop_late_seconds",
        "Seconds by which the event loop was late, measured every quarter of a second.",
        buckets=LATE_BUCKETS,
        registry=registry,
    )
    held = Histogram(
        "palpo_loop_held_seconds",
        "Turns of the event loop that took more processor time than log.held_ms, in seconds.",
        registry=registry,
    )

    def found(turn: Held) -> None:
        held.observe(turn.seconds)
        log.warning("event_loop_held", ms=round(turn.seconds * 1000), stack=turn.stack)

    services.background.start("heartbeat", heartbeat(late.observe))
    with LoopWatch(found, limit_s=held_ms / 1000) if held_ms else nullcontext():
        yield


async def start(services: Services) -> None:
    """Begin what a server does of its own accord, as long as its services are there."""
    background = services.background
    keeper = LeaseKeeper(DatabaseLeases(services.db), services.clock, holder=secrets.token_hex(8))
    await start_appservices(services, keeper)
    background.start("deactivations", services.accounts.finish_deactivations())
    await services.server_notices.prepare()
    background.start("delayed-events", services.delayed_events.run())
    background.start("last-seen", services.last_seen.run())
    background.start("typing", services.typing.run())
    background.start("presence", services.presence.run())
    await start_pushers(services, keeper)
    search_worker = SearchWorker(services.search_index, services.user_directory, services.wakeups)
    background.start("search", keeper.run("search", search_worker.work))
    statistics = database_statistics(services.config.database_url)
    if statistics is not None:
        background.start("statistics", StatisticsWorker(statistics).run())
    background.start("media", keeper.run("media", MediaSweeper(services.media_cleanup).run))
    background.start("sweeps", keeper.run("sweeps", Sweeper(services.db, services.clock).run))


async def start_appservices(services: Services, keeper: LeaseKeeper) -> None:
    """Make the application services' own users, and begin to send to those that want it."""
    await services.appservices.ensure_senders()
    senders = {}
    for registration in services.appservices.registrations:
        if registration.url is None:
            continue
        sender = AppserviceSender(
            registration,
            services.db,
            services.wakeups,
            AppserviceTransactions(
                registration,
                services.db,
                services.events,
                services.client_events,
                services.typing,
                services.presence,
                services.keys,
                services.caches,
            ),
            services.appservice_client,
            random_prefix=lambda: secrets.token_hex(4),
        )
        await sender.prepare()
        senders[registration.id] = sender
        services.background.start(sender.name, keeper.run(sender.name, sender.run))
    services.appservice_queries.on_success(lambda name: senders[name].found_there())


async def start_pushers(services: Services, keeper: LeaseKeeper) -> None:
    """Begin to tell pushers of what happens."""
    worker = PushWorker(
        services.db,
        services.clock,
        services.wakeups,
        services.events,
        services.push_judge,
        services.push_delivery,
        digest_delay_ms=services.config.email.digest_delay_seconds * 1000,
    )
    await worker.prepare()
    services.background.start("pushers", keeper.run("pushers", worker.run))
