"""The homeserver as Complement wants it: an entry point for images and for forked processes.

``prepare(root)`` fills a state directory, ``main(root)`` serves from it, as often as it is started.
The environment says the rest: ``SERVER_NAME``; ``PALPO_DATABASE_URL``; ``PALPO_COMPLEMENT_BINDS``, a
JSON object of the addresses to listen on; ``PALPO_ACCESS_LOG`` and ``PALPO_SCHEMA_CHECK``, files that
get a line for every request, and for every response that breaks its schema.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from palpo.api.modules import handlers
from palpo.api.observers import Exchange, Observer
from palpo.cli import serving
from palpo.config.loader import convert
from palpo.config.model import Config
from palpo.db.migrations.upgrade import upgrade

DEFAULT_BINDS = {"http": ["0.0.0.0:8008"], "https": ["0.0.0.0:8448"]}
SHARED_SECRET = "complement"
DELAYED = "org.matrix.msc4140.delay="
"""A request with this in its query is answered as the proposal says, not as the spec's operation."""


class AccessLog:
    """Which operation each request called, and how it was answered."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)

    def __call__(self, exchange: Exchange) -> None:
        endpoint = exchange.endpoint
        row = {
            "operation": f"{endpoint.api}/{endpoint.operation_id}" if endpoint else None,
            "method": exchange.method,
            "path": exchange.raw_path,
            "status": exchange.status,
            "time": exchange.ended,
        }
        self._file.write(msgspec.json.encode(row).decode() + "\n")


class SchemaCheck:
    """Holds every JSON response to the spec's schema."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)
        self._checker = _checker()

    def __call__(self, exchange: Exchange) -> None:
        if exchange.body is None or not exchange.content_type.startswith("application/json"):
            return
        if DELAYED in exchange.query:
            return
        found = self._checker.check(exchange.method, exchange.raw_path, exchange.status, exchange.body)
        for violation in found:
            row = {
                "operation": violation.operation_id,
                "method": violation.method,
                "path": violation.path,
                "status": violation.status,
                "pointer": violation.pointer,
                "message": violation.message,
                "time": exchange.ended,
            }
            self._file.write(msgspec.json.encode(row).decode() + "\n")


@cache
def _checker() -> Any:
    from palpo_conformance.schema_check import SchemaChecker

    return SchemaChecker()


def preload() -> None:
    """Do once, before any server is forked, what every server needs."""
    handlers()
    _checker()


def prepare(root: Path) -> None:
    """Make the folder and the database that a fresh homeserver starts from."""
    (root / "data").mkdir(parents=True, exist_ok=True)
    upgrade(_database_url(root))


def main(root: Path) -> None:
    """Serve until SIGTERM."""
    serving.run(configuration(root), observers=observers())


def observers() -> Sequence[Observer]:
    """What the environment asks to be recorded."""
    wanted: list[Observer] = []
    if path := os.environ.get("PALPO_ACCESS_LOG"):
        wanted.append(AccessLog(Path(path)))
    if path := os.environ.get("PALPO_SCHEMA_CHECK"):
        wanted.append(SchemaCheck(Path(path)))
    return wanted


def configuration(root: Path) -> Config:
    """What Complement expects of a homeserver: open, unlimited, cheap passwords, its CA's certificate."""
    server_name = os.environ["SERVER_NAME"]
    binds = msgspec.json.decode(
        os.environ.get("PALPO_COMPLEMENT_BINDS") or msgspec.json.encode(DEFAULT_BINDS)
    )
    data = root / "data"
    data.mkdir(parents=True, exist_ok=True)
    certificate, key = _certificate(root, server_name, [bind.rpartition(":")[0] for bind in binds["https"]])
    # Complement makes accounts by the shared secret, on whatever address the server has.
    shown: dict[str, Any] = {"serves": ["client", "health", "admin"]}
    listeners = [{"bind": bind, **shown} for bind in binds["http"]]
    listeners += [
        {"bind": bind, "tls_certificate": str(certificate), "tls_key": str(key), **shown}
        for bind in binds["https"]
    ]
    return convert(
        {
            "server_name": server_name,
            "data": str(data),
            "listeners": listeners,
            "http": {"shutdown_seconds": 0.5},
            "database": {"url": _database_url(root)},
            "rate_limits": {"enabled": False},
            "registration": {"open": True, "guests": True, "shared_secret": SHARED_SECRET},
            "password": {"time_cost": 1, "memory_kib": 8, "minimum_length": 1},
            "network": {"allow": ["0.0.0.0/0", "::/0"]},
            "rooms": {"default_version": "11"},
            "appservices": [
                str(path) for path in sorted((root / "complement" / "appservice").glob("*.yaml"))
            ],
            "server_notices": {"enabled": True},
            "media": {"legacy": True},
            "push": {"legacy_mentions": True, "polls": True, "thread_subscriptions": True},
            "log": {"level": "info", "format": "json", "requests": True},
        }
    )


def _database_url(root: Path) -> str:
    return os.environ.get("PALPO_DATABASE_URL") or f"sqlite:///{root / 'data' / 'homeserver.db'}"


def _certificate(root: Path, server_name: str, addresses: Sequence[str]) -> tuple[Path, Path]:
    """A certificate for ``server_name``, signed by the CA that Complement has put in place."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    folder = root / "complement" / "ca"
    ca = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
    # Checking the suite's own RSA-4096 key would cost more than the rest of the start.
    ca_key = serialization.load_pem_private_key(
        (folder / "ca.key").read_bytes(), None, unsafe_skip_rsa_key_validation=True
    )
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    names: list[x509.GeneralName] = [x509.DNSName(server_name)]
    names += [x509.IPAddress(ipaddress.ip_address(address.strip("[]"))) for address in addresses]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, server_name[:64])]))
        .issuer_name(ca.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(ca_key, hashes.SHA256())  # type: ignore[arg-type]
    )
    paths = root / "data" / "tls.crt", root / "data" / "tls.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths
