"""The composition root: the only package that constructs services, and what runs as long as they do."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

import structlog
from prometheus_client import CollectorRegistry, Histogram

from palpo import admin
from palpo.api.app import PalpoApp
from palpo.api.authentication import Authenticator
from palpo.api.dispatch import Dispatcher
from palpo.api.limits import Limiter
from palpo.api.modules import handlers
from palpo.api.observers import Metrics, Observer, RequestLog, SlowLog
from palpo.api.server_authentication import ServerAuthenticator
from palpo.api.services import Services
from palpo.app.composition import build_services
from palpo.app.composition.server import build_server
from palpo.app.metrics import register_all
from palpo.app.starting import start
from palpo.config.data_folder import DataFolder
from palpo.config.errors import ConfigError
from palpo.config.model import Config
from palpo.db.connect import create_engine
from palpo.db.engine import Database
from palpo.services.rooms.delayed_events import Charge
from palpo.services.server.audit_log import AuditLog
from palpo.services.server.server_identity import ServerIdentity
from palpo.storage import synapse_import
from palpo.streams.background import Background
from palpo.streams.caches import MEBIBYTE, CacheBudget
from palpo.streams.clock import Clock, SystemClock
from palpo.streams.fair_reads import FairReads
from palpo.streams.loop_watch import Held, LoopWatch, heartbeat
from palpo.streams.polling import read_position
from palpo.streams.processes import create_wakeups
from palpo.streams.wakeups import Wakeups
from palpo.wire.endpoint import Limit
from palpo.workers.appservices import DELIVERY, Delivery

if TYPE_CHECKING:
    from palpo.app.tracing import Tracing

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


def audit_log_of(db: Database) -> AuditLog:
    """What takes notes of what administrators do, where nothing else is built."""
    return AuditLog(db, SystemClock())


@asynccontextmanager
async def built(
    config: Config, *, clock: Clock | None = None, charges: Iterable[Charge] = ()
) -> AsyncIterator[Services]:
    """Every service, over an open database: what a command of the shell needs beside a running server.

    Other processes hear of what is written here. Nothing is begun: no lease is taken, nothing is sent,
    no account is made. The database must be migrated already (``palpo migrate``). ``charges`` are who takes
    delayed events from their users' budgets.
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
        server = build_server(config, clock, db, wakeups, background, identity, caches)
        services = build_services(server, charges=charges)
        closing.push_async_callback(server.http.close)
        closing.push_async_callback(server.federation_client.close)
        closing.push_async_callback(services.media.images.close)
        if server.mailer is not None:
            closing.push_async_callback(server.mailer.close)
        closing.push_async_callback(services.appservices.appservice_client.close)
        closing.push_async_callback(services.accounts.delegation.close)
        # Like the database's own writer: it does what the others ask of it, and nothing of its own accord.
        background.start("room-writer", services.history.room_writer.run())
        yield services
    finally:
        wakeups.close()
        await background.stop()
        await closing.aclose()
        await link.stop()
        await db.close()


@asynccontextmanager
async def application(
    config: Config, *, clock: Clock | None = None, delivery: Delivery = DELIVERY
) -> AsyncIterator[PalpoApp]:
    """The running application: what is built, its work in the background, and who answers requests."""
    clock = clock or SystemClock()
    limiter = Limiter(config.rate_limits, clock.elapsed_s)
    charges = (partial(limiter.charge, Limit.MESSAGE),)
    async with _traced(config) as tracing, built(config, clock=clock, charges=charges) as services:
        if tracing is not None:
            server = services.server
            tracing.watch(server.db, services.history.room_writer, server.federation_client)
        services.server.live.listen(lambda new: limiter.configure(new.rate_limits))
        if await services.server.db.read(synapse_import.is_unfinished):
            raise ConfigError(
                "the import from Synapse has not come to its end: go on with `palpo import synapse`"
            )
        started = await start(services, delivery)
        registry = CollectorRegistry()
        slow = SlowLog(services.server.recent.requests, clock.now_ms)
        watching: list[Observer] = [Metrics(registry), slow]
        register_all(registry, services, started.consumers, started.federation_sender)
        if config.log.requests:
            watching.append(RequestLog())
        accounts = services.accounts
        make_dispatcher = Dispatcher if tracing is None else tracing.dispatcher
        dispatcher = make_dispatcher(
            services,
            handlers(),
            authenticator=Authenticator(accounts.sessions, accounts.appservices, accounts.last_seen),
            servers=ServerAuthenticator(
                services.server.name,
                services.server.server_name_rules,
                services.federation.keyring,
                services.federation.server_acls,
                clock,
                limiter,
            ),
            limiter=limiter,
            observers=watching,
            request_prefix=secrets.token_hex(4),
        )
        with watched_loop(services, registry, held_ms=config.log.held_ms):
            yield PalpoApp(dispatcher, services, registry, more_pages=admin.BLUEPRINTS)


@asynccontextmanager
async def _traced(config: Config) -> AsyncIterator[Tracing | None]:
    """What makes traces, if they are wanted; its libraries are not loaded otherwise."""
    if not config.tracing.endpoint:
        yield None
        return
    from palpo.app.tracing import tracing

    async with tracing(config) as made:
        yield made


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
        log.warning("event_loop_held", ms=round(turn.seconds * 1000), frames=turn.stack)

    services.server.background.start("heartbeat", heartbeat(late.observe))
    with LoopWatch(found, limit_s=held_ms / 1000) if held_ms else nullcontext():
        yield
