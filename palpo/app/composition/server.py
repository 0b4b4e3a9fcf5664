"""What every service is made of in the end."""

from __future__ import annotations

from collections.abc import Sequence

from palpo import __version__
from palpo.app.composition.transport import build_federation_client, build_policy, build_rules
from palpo.config.appservices import Registration, load_registrations
from palpo.config.live import LiveConfig
from palpo.config.model import Config
from palpo.config.sections.accounts import EmailConfig
from palpo.core.identifiers import ServerName, make_user_id
from palpo.db.engine import Database
from palpo.media.stores import open_store
from palpo.net.email import Mailer, MailServer
from palpo.net.http_client import HttpClient
from palpo.services.server import Server
from palpo.services.server.audit_log import AuditLog
from palpo.services.server.background_updates import BackgroundUpdates
from palpo.services.server.health import Health
from palpo.services.server.jobs import Jobs
from palpo.services.server.known_amounts import KnownAmounts
from palpo.services.server.quotas import Quotas
from palpo.services.server.recent import Recent
from palpo.services.server.restarts import Restarts
from palpo.services.server.server_identity import Identity
from palpo.services.server.server_keys import ServerKeys
from palpo.services.server.stream_history import StreamHistory
from palpo.streams.background import Background
from palpo.streams.caches import CacheBudget
from palpo.streams.clock import Clock
from palpo.streams.made_up import made_up
from palpo.streams.wakeups import Wakeups

USER_AGENT = f"Palpo/{__version__}"


def build_server(
    config: Config,
    clock: Clock,
    db: Database,
    wakeups: Wakeups,
    background: Background,
    identity: Identity,
    caches: CacheBudget,
) -> Server:
    """The foundation, over an open database."""
    registrations = load_registrations(config.appservices, server_name=config.server_name)
    name = ServerName(config.server_name)
    blobs = open_store(config.media, config.data / "media")
    live, quotas = LiveConfig(config), _quotas(config, db, registrations)
    policy, rules = build_policy(config), build_rules(config)
    live.listen(lambda new: policy.replace(new.network.allow, new.network.deny))
    live.listen(lambda new: rules.replace(new.federation.allow, new.federation.deny))
    live.listen(quotas.configure)
    return Server(
        config=config,
        live=live,
        name=name,
        key=identity.key,
        registrations=registrations,
        clock=clock,
        db=db,
        wakeups=wakeups,
        background=background,
        caches=caches,
        random_id=random_id,
        http=HttpClient(policy, user_agent=USER_AGENT),
        federation_client=build_federation_client(
            config, policy, rules, identity.key, clock, caches, user_agent=USER_AGENT
        ),
        server_name_rules=rules,
        mailer=_mailer(config.email),
        blobs=blobs,
        quotas=quotas,
        audit_log=AuditLog(db, clock),
        jobs=Jobs(db, clock, wakeups, random_id=random_id),
        background_updates=BackgroundUpdates(db, wakeups),
        stream_history=StreamHistory(db, wakeups, identity.gaps),
        server_keys=ServerKeys(name, identity.key, clock, identity.old_keys),
        health=Health(db, blobs),
        restarts=Restarts(live),
        recent=Recent(),
    )


def random_id() -> str:
    """24 characters that nobody can guess."""
    return made_up(24)


def _quotas(config: Config, db: Database, registrations: Sequence[Registration]) -> Quotas:
    """The quotas, which the server's own users and those of some application services do not have."""
    unlimited = [item for item in registrations if not item.rate_limited]
    senders = {item.sender for item in registrations}
    if config.server_notices.enabled:
        senders.add(make_user_id(config.server_notices.localpart, config.server_name))
    return Quotas(
        config,
        db,
        KnownAmounts(db),
        exempt=lambda user: user in senders or any(item.owns_user(user) for item in unlimited),
    )


def _mailer(config: EmailConfig) -> Mailer | None:
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
