"""The composition root: the only module that constructs services."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager

from prometheus_client import CollectorRegistry

from palpo import __version__
from palpo.api.app import PalpoApp
from palpo.api.authentication import Authenticator
from palpo.api.dispatch import Dispatcher
from palpo.api.limits import Limiter
from palpo.api.modules import handlers
from palpo.api.observers import Metrics, Observer, RequestLog
from palpo.api.services import Services
from palpo.config import signing_key
from palpo.config.appservices import load_registrations
from palpo.config.model import Config, EmailConfig, RegistrationConfig
from palpo.core.signing import SigningKey
from palpo.db.connect import create_engine
from palpo.db.engine import Database
from palpo.media.images import ImageWorkers
from palpo.media.remote import NoRemoteMedia
from palpo.media.stores import open_store
from palpo.net.addresses import AddressPolicy
from palpo.net.email import Mailer, MailServer
from palpo.net.http_client import HttpClient
from palpo.services import registration_stages as stages
from palpo.services import user_interactive_auth as uia
from palpo.services.account_data import AccountData
from palpo.services.accounts import Accounts
from palpo.services.aliases import Aliases
from palpo.services.appservice_client import AppserviceClient
from palpo.services.appservice_queries import AppserviceQueries
from palpo.services.appservice_transactions import AppserviceTransactions
from palpo.services.appservices import AppServices
from palpo.services.client_events import ClientEvents
from palpo.services.cross_signing import CrossSigning
from palpo.services.dehydrated_devices import DehydratedDevices
from palpo.services.delayed_events import DelayedEvents
from palpo.services.device_lists import DeviceLists
from palpo.services.device_removal import DeviceRemoval
from palpo.services.devices import Devices
from palpo.services.event_relationships import EventRelationships
from palpo.services.event_store import EventStore
from palpo.services.filters import Filters
from palpo.services.identity_servers import IdentityServers
from palpo.services.invite_permissions import InvitePermissions
from palpo.services.key_backups import KeyBackups
from palpo.services.keys import Keys
from palpo.services.last_seen import LastSeen
from palpo.services.logins import Logins
from palpo.services.media import Media
from palpo.services.media_cleanup import MediaCleanup
from palpo.services.memberships import Memberships
from palpo.services.notifications import Notifications
from palpo.services.old_sync import OldSync
from palpo.services.openid import OpenId
from palpo.services.passwords import FailedLogins, Passwords
from palpo.services.presence import PresenceTracker
from palpo.services.profiles import Profiles
from palpo.services.push_delivery import PushDelivery
from palpo.services.push_emails import EmailDigests
from palpo.services.push_gateways import PushGateways
from palpo.services.push_judge import PushJudge
from palpo.services.push_rules import PushRules
from palpo.services.pushers import Pushers
from palpo.services.receipts import Receipts
from palpo.services.recent_events import RecentEvents
from palpo.services.registration import Registration
from palpo.services.registration_tokens import RegistrationTokens
from palpo.services.relations import Relations
from palpo.services.reports import Reports
from palpo.services.restricted_joins import RestrictedJoins
from palpo.services.room_access import RoomAccess
from palpo.services.room_builder import RoomBuilder
from palpo.services.room_creation import RoomCreation
from palpo.services.room_directory import RoomDirectory
from palpo.services.room_heads import RoomHeads
from palpo.services.room_overviews import Overviews
from palpo.services.room_state import RoomState
from palpo.services.room_succession import RoomSuccession, carry_over
from palpo.services.room_summaries import RoomSummaries
from palpo.services.room_upgrades import RoomUpgrades
from palpo.services.room_writer import RoomWriter
from palpo.services.search import Search
from palpo.services.search_context import SearchContext
from palpo.services.search_index import SearchIndex
from palpo.services.sending import Sending
from palpo.services.server_keys import ServerKeys
from palpo.services.server_notices import ServerNotices
from palpo.services.sessions import Sessions
from palpo.services.third_party_invites import ThirdPartyInvites
from palpo.services.thread_subscriptions import ThreadSubscriptions
from palpo.services.threads import Threads
from palpo.services.threepids import ThirdPartyIds
from palpo.services.timeline import Timeline
from palpo.services.to_device import ToDevice
from palpo.services.typing import Typing
from palpo.services.unread import Unread
from palpo.services.url_previews import UrlPreviews
from palpo.services.user_directory import UserDirectory
from palpo.services.user_rooms import UserRooms
from palpo.services.visibility import Visibility
from palpo.storage.leases import DatabaseLeases
from palpo.streams.background import Background
from palpo.streams.clock import Clock, SystemClock
from palpo.streams.leases import LeaseKeeper
from palpo.streams.polling import read_position
from palpo.streams.processes import create_wakeups
from palpo.streams.wakeups import Wakeups
from palpo.sync.extras import RoomExtras
from palpo.sync.filters import SyncFilters
from palpo.sync.joined import JoinedRooms
from palpo.sync.left import LeftRooms
from palpo.sync.members import SentMembers
from palpo.sync.sliding.bumps import BumpStamps
from palpo.sync.sliding.connections import Connections
from palpo.sync.sliding.extensions import Extensions
from palpo.sync.sliding.facts import Facts
from palpo.sync.sliding.rooms import SlidingRooms
from palpo.sync.sliding.service import SlidingSync
from palpo.sync.sliding.user_lists import UserLists
from palpo.sync.state_delta import StateDeltas
from palpo.sync.summary import Summaries
from palpo.sync.timelines import Timelines
from palpo.sync.v3 import SyncV3
from palpo.workers.appservices import AppserviceSender
from palpo.workers.pushers import PushWorker
from palpo.workers.search import SearchWorker


@asynccontextmanager
async def application(
    config: Config, *, clock: Clock | None = None, observers: Iterable[Observer] = ()
) -> AsyncIterator[PalpoApp]:
    """The running application; its database must be migrated already (``palpo migrate``)."""
    clock = clock or SystemClock()
    key = signing_key.load_or_create(config.data)
    wakeups = Wakeups()
    background = Background()
    closing = AsyncExitStack()
    db = Database(create_engine(config.database_url))
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
        await link.start(wakeups.on_commit)
        wakeups.start(await db.read(read_position))
        services = build_services(config, clock, db, wakeups, background, key)
        closing.push_async_callback(services.http.close)
        closing.push_async_callback(services.images.close)
        if services.mailer is not None:
            closing.push_async_callback(services.mailer.close)
        closing.push_async_callback(services.appservice_client.close)
        keeper = LeaseKeeper(DatabaseLeases(db), clock, holder=secrets.token_hex(8))
        await start_appservices(services, keeper)
        background.start("room-writer", services.room_writer.run())
        await services.server_notices.prepare()
        background.start("delayed-events", services.delayed_events.run())
        background.start("last-seen", services.last_seen.run())
        background.start("typing", services.typing.run())
        background.start("presence", services.presence.run())
        await start_pushers(services, keeper)
        search_worker = SearchWorker(services.search_index, wakeups)
        background.start("search", keeper.run("search", search_worker.work))
        registry = CollectorRegistry()
        watching: list[Observer] = [Metrics(registry), *observers]
        if config.log.requests:
            watching.append(RequestLog())
        dispatcher = Dispatcher(
            services,
            handlers(),
            authenticator=Authenticator(services.sessions, services.appservices, services.last_seen),
            limiter=Limiter(config.rate_limits, time.monotonic),
            observers=watching,
            request_prefix=secrets.token_hex(4),
        )
        yield PalpoApp(dispatcher, services, registry)
    finally:
        wakeups.close()
        await background.stop()
        await closing.aclose()
        await link.stop()
        await db.close()


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


def create_mailer(config: EmailConfig) -> Mailer | None:
    """What sends email; None where that is not configured."""
    if not config.host:
        return None
    return Mailer(
        MailServer(
            host=config.host,
            port=config.port,
            security=config.security,
            username=config.username,
            password=config.password,
            sender=config.sender,
            timeout_s=config.timeout_seconds,
        )
    )


def add_registration_stages(
    interactive_auth: uia.UserInteractiveAuth,
    config: RegistrationConfig,
    tokens: RegistrationTokens,
    threepids: ThirdPartyIds,
    http: HttpClient,
) -> None:
    """Offer every stage that registration may ask for."""
    interactive_auth.add_stage(uia.REGISTRATION_TOKEN, stages.TokenStage(tokens))
    if threepids.enabled:
        interactive_auth.add_stage(stages.EMAIL, stages.EmailStage(threepids))
    if config.terms:
        interactive_auth.add_stage(stages.TERMS, stages.TermsStage(config.terms))
    if config.captcha.public_key:
        interactive_auth.add_stage(stages.RECAPTCHA, stages.RecaptchaStage(config.captcha, http))


def build_services(
    config: Config, clock: Clock, db: Database, wakeups: Wakeups, background: Background, key: SigningKey
) -> Services:
    """Construct every service, lowest first."""
    sessions = Sessions(db, clock, wakeups, admins=config.admins)
    device_removal = DeviceRemoval()
    last_seen = LastSeen(db, clock)
    passwords = Passwords(config.password)
    failures = FailedLogins(config.rate_limits, clock)
    logins = Logins(config, db, clock, passwords, failures, device_removal)
    profiles = Profiles(db, server_name=config.server_name)
    registrations = load_registrations(config.appservices, server_name=config.server_name)
    appservices = AppServices(registrations, db, clock, wakeups, admins=config.admins)
    device_removal.also(appservices.forget_devices)
    registration = Registration(config, db, clock, passwords, logins, profiles, appservices, secret=key.seed)
    interactive_auth = uia.UserInteractiveAuth(db, clock, secret=key.seed)
    interactive_auth.add_stage(uia.PASSWORD, uia.PasswordStage(logins))
    registration_tokens = RegistrationTokens(db, clock, permanent=config.registration.token)
    mailer = create_mailer(config.email)
    threepids = ThirdPartyIds(config, db, clock, mailer)
    events = EventStore(db, wakeups)
    room_heads = RoomHeads(db, events, wakeups)
    room_builder = RoomBuilder(
        events,
        room_heads,
        clock,
        server_name=config.server_name,
        key=key,
        random_id=lambda: secrets.token_urlsafe(18),
    )
    recent_events = RecentEvents(db, room_heads)
    room_writer = RoomWriter(db, events, room_heads, room_builder, recent_events, clock)
    room_access = RoomAccess(db, events, room_heads)
    visibility = Visibility(db, events, room_heads, room_access)
    overviews = Overviews(db, events)
    room_directory = RoomDirectory(
        db, room_heads, room_access, overviews, wakeups, server_name=config.server_name
    )
    restricted_joins = RestrictedJoins(db, room_heads, room_access, server_name=config.server_name)
    room_succession = RoomSuccession(room_heads, room_access)
    aliases = Aliases(
        db, clock, room_heads, room_access, room_writer, appservices, server_name=config.server_name
    )
    invite_permissions = InvitePermissions(db)
    memberships = Memberships(
        db,
        room_heads,
        room_writer,
        room_access,
        profiles,
        restricted_joins,
        room_succession,
        invite_permissions,
        server_name=config.server_name,
    )
    room_creation = RoomCreation(
        clock,
        room_writer,
        aliases,
        room_directory,
        profiles,
        room_succession,
        memberships,
        invite_permissions,
        server_name=config.server_name,
        default_version=config.rooms.default_version,
        random_id=lambda: secrets.token_urlsafe(18),
    )
    device_lists = DeviceLists(db, wakeups, events)
    keys = Keys(db, wakeups, server_name=config.server_name)
    to_device = ToDevice(db, clock, wakeups, server_name=config.server_name)
    threads = Threads(events)
    push_rules = PushRules(db, wakeups, config.push)
    account_data = AccountData(db, wakeups, push_rules)
    room_succession.on_upgrade.append(carry_over(account_data, push_rules))
    client_events = ClientEvents(db, events, clock, wakeups, visibility, account_data)
    timeline = Timeline(db, events, room_heads, room_access, visibility, account_data)
    pushers = Pushers(db, clock, config.push, email=mailer is not None)
    device_removal.also(pushers.forget_devices)
    device_removal.also(account_data.forget_devices)
    profiles.on_change(memberships.refresh_profile)
    accounts = Accounts(config, db, passwords, device_removal)
    accounts.on_deactivation(profiles.user_gone)
    accounts.on_deactivation(threepids.user_gone)
    accounts.on_deactivation(pushers.user_gone)
    filters = Filters(db)
    receipts = Receipts(db, wakeups, clock, events, room_access, threads)
    typing = Typing(db, wakeups, clock, room_access)
    presence = PresenceTracker(db, wakeups, clock, config.presence, server_name=config.server_name)
    unread = Unread(db, wakeups, events, room_heads, threads, push_rules, account_data)
    search_index = SearchIndex(db, events)
    timelines = Timelines(recent_events, events, visibility)
    states = StateDeltas(events, SentMembers())
    user_rooms = UserRooms(db, wakeups)
    summaries = Summaries(db, events)
    left_rooms = LeftRooms(events, timelines, states)
    sync = SyncV3(
        wakeups,
        user_rooms,
        JoinedRooms(events, room_heads, timelines, states, summaries),
        left_rooms,
        RoomExtras(db, account_data, receipts, typing, unread, presence, invite_permissions),
        client_events,
        to_device,
        device_lists,
        keys,
    )
    connections = Connections(db, clock, random_tag=lambda: secrets.token_hex(6))
    device_removal.also(connections.forget_devices)
    thread_subscriptions = ThreadSubscriptions(db, events, visibility, wakeups)
    sliding_sync = SlidingSync(
        db,
        wakeups,
        connections,
        UserLists(
            db,
            wakeups,
            events,
            room_heads,
            user_rooms,
            account_data,
            invite_permissions,
            Facts(events, room_heads),
        ),
        SlidingRooms(events, room_heads, timelines, left_rooms, summaries, BumpStamps(db, events)),
        Extensions(
            db, to_device, device_lists, keys, account_data, receipts, typing, thread_subscriptions
        ),
        client_events,
        unread,
    )
    policy = AddressPolicy(config.network.allow, config.network.deny)
    http = HttpClient(policy, user_agent=f"Palpo/{__version__}")
    add_registration_stages(interactive_auth, config.registration, registration_tokens, threepids, http)
    identity_servers = IdentityServers(
        config.identity_servers, db, http, server_name=config.server_name, key=key
    )
    accounts.on_deactivation(identity_servers.user_gone)
    push_judge = PushJudge(db, events, room_heads, push_rules, account_data)
    push_delivery = PushDelivery(
        db,
        clock,
        wakeups,
        events,
        threads,
        unread,
        PushGateways(http, room_heads),
        EmailDigests(mailer, room_heads, server_name=config.server_name),
        digest_interval_ms=config.email.digest_interval_seconds * 1000,
    )
    anywhere = AddressPolicy(("0.0.0.0/0", "::/0"))  # The operator said where application services are.
    appservice_client = AppserviceClient(HttpClient(anywhere, user_agent=f"Palpo/{__version__}"))
    appservice_queries = AppserviceQueries(appservices, appservice_client, time.monotonic)
    if registrations:
        aliases.offer_unknown_with(appservice_queries.offer_alias)
        profiles.offer_unknown_with(appservice_queries.offer_user)
        memberships.offer_unknown_with(appservice_queries.offer_user)
    blobs = open_store(config.media, config.data / "media")
    images = ImageWorkers(max_pixels=config.media.max_pixels)
    media = Media(
        config.media,
        db,
        clock,
        wakeups,
        blobs,
        images,
        NoRemoteMedia(),
        server_name=config.server_name,
        random_id=lambda: secrets.token_urlsafe(18),
    )
    room_state = RoomState(db, events, room_heads, room_access, room_writer, memberships, aliases)
    server_notices = ServerNotices(
        config.server_notices,
        db,
        clock,
        profiles,
        room_access,
        room_creation,
        room_writer,
        account_data,
        server_name=config.server_name,
    )
    memberships.check_leaves_with(server_notices.check_rejection)
    sending = Sending(db, events, room_heads, room_writer)
    delayed_events = DelayedEvents(
        db,
        wakeups,
        clock,
        room_heads,
        room_access,
        sending,
        room_state,
        random_id=lambda: secrets.token_urlsafe(18),
    )
    return Services(
        config=config,
        clock=clock,
        db=db,
        wakeups=wakeups,
        background=background,
        sessions=sessions,
        appservices=appservices,
        appservice_client=appservice_client,
        appservice_queries=appservice_queries,
        device_removal=device_removal,
        logins=logins,
        registration=registration,
        registration_tokens=registration_tokens,
        mailer=mailer,
        threepids=threepids,
        identity_servers=identity_servers,
        third_party_invites=ThirdPartyInvites(
            room_heads,
            room_writer,
            memberships,
            profiles,
            identity_servers,
            http,
            server_name=config.server_name,
        ),
        interactive_auth=interactive_auth,
        accounts=accounts,
        server_keys=ServerKeys(config.server_name, key, clock),
        events=events,
        room_heads=room_heads,
        recent_events=recent_events,
        room_writer=room_writer,
        room_access=room_access,
        room_creation=room_creation,
        room_directory=room_directory,
        room_state=room_state,
        room_succession=room_succession,
        invite_permissions=invite_permissions,
        room_summaries=RoomSummaries(events, room_heads, room_access, overviews, restricted_joins),
        room_upgrades=RoomUpgrades(
            events, room_heads, room_access, room_writer, room_creation, aliases, room_directory
        ),
        reports=Reports(db, clock, events, room_heads, room_access, server_name=config.server_name),
        aliases=aliases,
        memberships=memberships,
        client_events=client_events,
        sending=sending,
        server_notices=server_notices,
        delayed_events=delayed_events,
        thread_subscriptions=thread_subscriptions,
        visibility=visibility,
        timeline=timeline,
        old_sync=OldSync(
            db, events, wakeups, room_access, timeline, visibility, room_directory, account_data
        ),
        relations=Relations(db, events, visibility, timeline, account_data),
        event_relationships=EventRelationships(db, events, visibility, timeline),
        search_index=search_index,
        search=Search(db, search_index, events, room_heads, visibility, timeline),
        search_context=SearchContext(events, room_access, timeline),
        last_seen=last_seen,
        devices=Devices(db, clock, last_seen, device_removal),
        dehydrated_devices=DehydratedDevices(db, clock, device_removal),
        device_lists=device_lists,
        keys=keys,
        cross_signing=CrossSigning(db),
        key_backups=KeyBackups(db),
        to_device=to_device,
        push_rules=push_rules,
        profiles=profiles,
        pushers=pushers,
        notifications=Notifications(db, wakeups, events, push_judge, unread, threads),
        push_judge=push_judge,
        push_delivery=push_delivery,
        user_directory=UserDirectory(db, room_heads),
        openid=OpenId(db, clock),
        http=http,
        images=images,
        media=media,
        media_cleanup=MediaCleanup(db, clock, blobs),
        url_previews=UrlPreviews(
            config.media, db, clock, http, blobs, images, server_name=config.server_name
        ),
        account_data=account_data,
        filters=filters,
        receipts=receipts,
        typing=typing,
        presence=presence,
        unread=unread,
        sync_filters=SyncFilters(filters),
        sync=sync,
        sliding_sync=sliding_sync,
    )
