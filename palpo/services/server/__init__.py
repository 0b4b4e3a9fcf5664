"""What every service is made of in the end, and who the server is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from palpo.config.appservices import Registration
from palpo.config.live import LiveConfig
from palpo.config.model import Config
from palpo.core.identifiers import ServerName
from palpo.core.server_names import ServerNameRules
from palpo.core.signing import SigningKey
from palpo.db.engine import Database
from palpo.media.blobs import BlobStore
from palpo.net.email import Mailer
from palpo.net.federation_client import FederationClient
from palpo.net.http_client import HttpClient
from palpo.services.server.audit_log import AuditLog
from palpo.services.server.background_updates import BackgroundUpdates
from palpo.services.server.health import Health
from palpo.services.server.jobs import Jobs
from palpo.services.server.quotas import Quotas
from palpo.services.server.recent import Recent
from palpo.services.server.restarts import Restarts
from palpo.services.server.server_keys import ServerKeys
from palpo.services.server.stream_history import StreamHistory
from palpo.streams.background import Background
from palpo.streams.caches import CacheBudget
from palpo.streams.clock import Clock
from palpo.streams.wakeups import Wakeups


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The foundation of all other areas, which ``palpo.app`` hands to each."""

    config: Config
    """As it is in force: a reload changes it in its place."""
    live: LiveConfig
    name: ServerName
    """The server's name, as in the IDs of its users."""
    key: SigningKey
    registrations: tuple[Registration, ...]
    """Of application services, as they are configured."""
    clock: Clock
    db: Database
    wakeups: Wakeups
    background: Background
    caches: CacheBudget
    random_id: Callable[[], str]
    """24 characters that nobody can guess: ``A-Za-z0-9_-``."""
    http: HttpClient
    federation_client: FederationClient
    """Asks other homeservers."""
    server_name_rules: ServerNameRules
    """Which of them are spoken to."""
    mailer: Mailer | None
    """None where the server sends no email."""
    blobs: BlobStore
    quotas: Quotas
    audit_log: AuditLog
    jobs: Jobs
    background_updates: BackgroundUpdates
    stream_history: StreamHistory
    server_keys: ServerKeys
    health: Health
    restarts: Restarts
    recent: Recent
