"""Where the server listens, and HTTP on it."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from palpo.config.section import Section

PARTS = ("client", "health", "metrics", "admin")
"""What a listener may serve."""


class Listener(Section, frozen=True):
    """Where the server listens."""

    bind: Annotated[
        str,
        Meta(
            description="Address and port, `127.0.0.1:8008`, `[::1]:8008` or `[::]:8008` (IPv4 too, unless "
            "another listener has its port); or a Unix socket, `unix:/run/palpo/palpo.sock`."
        ),
    ]
    mode: Annotated[
        str, Meta(pattern="^[0-7]{3}$", description="Of a Unix socket's file: who may connect, as for chmod.")
    ] = "660"
    tls_certificate: Annotated[Path | None, Meta(description="PEM file; with it the port speaks TLS.")] = None
    tls_key: Annotated[Path | None, Meta(description="PEM file of the certificate's private key.")] = None
    engine: Annotated[
        str,
        Meta(
            pattern="^(hypercorn|uvicorn)?$",
            description="`hypercorn` speaks HTTP/2 too, `uvicorn` is faster; empty: `http.engine`.",
        ),
    ] = ""
    serves: Annotated[
        tuple[str, ...],
        Meta(
            description="What is answered here: `client`, `health`, `metrics` (`/_palpo/metrics`), `admin` "
            "(`/_synapse/admin/`, `/_palpo/admin`). Empty: all of it on loopback addresses and Unix sockets, "
            "and elsewhere `client` and `health`."
        ),
    ] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """What is answered here, whether or not that was set."""
        if self.serves:
            return self.serves
        return PARTS if self.is_local else ("client", "health")

    @property
    def is_local(self) -> bool:
        """Whether nobody but this machine's own processes can reach it."""
        host = self.bind.rpartition(":")[0].strip("[]")
        if self.bind.startswith("unix:") or host == "localhost":
            return True
        try:
            return ip_address(host).is_loopback
        except ValueError:
            return False

    @property
    def unix_path(self) -> Path | None:
        """The file of a Unix socket; None where the listener has an address."""
        return Path(self.bind.removeprefix("unix:")) if self.bind.startswith("unix:") else None


class HttpConfig(Section, frozen=True):
    """HTTP, on all listeners. The times and bounds keep clients that are slow, or mean no good, from taking
    what others need; nothing that a usual client does comes near them.
    """

    engine: Annotated[
        str,
        Meta(
            pattern="^(hypercorn|uvicorn)?$",
            description="Of listeners that name none; empty: `hypercorn` with TLS, else `uvicorn`.",
        ),
    ] = ""
    trusted_proxies: Annotated[
        tuple[str, ...],
        Meta(
            description="Reverse proxies, as addresses or networks: their `X-Forwarded-For` is believed. So "
            "is that of who connects through a Unix socket."
        ),
    ] = ()
    shutdown_seconds: Annotated[float, Meta(ge=0, description="How long a stop waits for requests.")] = 10.0
    head_seconds: Annotated[float, Meta(gt=0, description="How long a request's head may take.")] = 30.0
    keep_alive_seconds: Annotated[
        float, Meta(gt=0, description="How long a connection may wait for its next request.")
    ] = 75.0
    body_seconds: Annotated[
        float, Meta(gt=0, description="In each such time a request's body ends or brings another 64 KiB.")
    ] = 30.0
    send_seconds: Annotated[
        float, Meta(gt=0, description="In each such time a client takes another 64 KiB of its response.")
    ] = 60.0
    max_connections_per_address: Annotated[
        int, Meta(ge=1, description="Connections of one address at once; proxies that are trusted: any.")
    ] = 4096
    max_requests_per_user: Annotated[
        int, Meta(ge=1, description="Requests of one user at once, those that wait for news among them.")
    ] = 200
    max_requests_per_address: Annotated[
        int, Meta(ge=1, description="Requests without an access token at once, of one address.")
    ] = 100
    body_bytes: Annotated[
        int, Meta(ge=1 << 20, description="Memory for requests' bodies of over 64 KiB that are not uploads.")
    ] = 32 * 1024 * 1024
    body_bytes_per_user: Annotated[
        int, Meta(ge=1 << 16, description="The share of one user, who may have one larger body in it too.")
    ] = 4 * 1024 * 1024
    response_bytes: Annotated[
        int, Meta(ge=1 << 20, description="Memory for responses of over 256 KiB that are not read yet.")
    ] = 128 * 1024 * 1024
    response_bytes_per_user: Annotated[
        int, Meta(ge=1 << 16, description="The share of one user, who may have one larger one in it too.")
    ] = 32 * 1024 * 1024
