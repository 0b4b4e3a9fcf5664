"""Other servers: which addresses are asked, and federation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from palpo.config.marks import LIVE
from palpo.config.section import Section


class NetworkConfig(Section, frozen=True):
    """Where the server may connect to for others: previews, push gateways, other homeservers.

    Addresses of the public Internet are permitted, and no others but those of `allow`.
    """

    allow: Annotated[tuple[str, ...], Meta(description="Networks beside those, as `10.1.0.0/16`.")] = ()
    deny: Annotated[tuple[str, ...], Meta(description="Networks to leave alone whatever they are.")] = ()


class NotaryConfig(Section, frozen=True):
    """A server that is trusted to say what keys others have."""

    name: Annotated[str, Meta(description="The server's name.")]
    keys: Annotated[
        dict[str, str],
        Meta(
            description="Those that it must sign with: key ID to public key, in unpadded base64; empty: any."
        ),
    ] = {}


class FederationConfig(Section, frozen=True):
    """Other homeservers: which of them are spoken to, how they are found, and how long they may take.

    The addresses that they are found at are held to `network`.
    """

    enabled: Annotated[bool, Meta(description="Whether other homeservers are spoken to.")] = True
    allow: Annotated[
        tuple[str, ...],
        Meta(description="Server names to speak to, as `*.example.org` (`*` and `?`); empty: all."),
        LIVE,
    ] = ()
    deny: Annotated[
        tuple[str, ...],
        Meta(description="Server names not to speak to, also where they are in `allow`."),
        LIVE,
    ] = ()
    ca_file: Annotated[
        Path | None,
        Meta(
            description="PEM file of the certificate authorities that are trusted to name other homeservers; "
            "none: the system's."
        ),
    ] = None
    hosts: Annotated[
        dict[str, str],
        Meta(
            description='Where hosts are, whatever the DNS says: `{ hs2 = "10.1.0.2:8448" }`. With a port, '
            "the server of that name is there, and is looked for nowhere else; an address alone is that of "
            "the host, whoever names it."
        ),
    ] = {}
    hosts_file: Annotated[
        Path, Meta(description="File of hosts that is looked at before the DNS is asked, if it is there.")
    ] = Path("/etc/hosts")
    lookup_seconds: Annotated[float, Meta(gt=0, description="How long the DNS may take for one name.")] = 5.0
    connect_seconds: Annotated[
        float, Meta(gt=0, description="How long a connection to one address may take, TLS included.")
    ] = 10.0
    idle_seconds: Annotated[
        float, Meta(gt=0, description="How long another homeserver may be silent while it answers.")
    ] = 60.0
    request_seconds: Annotated[
        float, Meta(gt=0, description="How long a request may take in all, unless its kind has its own time.")
    ] = 60.0
    keep_alive_seconds: Annotated[
        float, Meta(ge=0, description="How long a connection is kept that nothing is sent on.")
    ] = 60.0
    http2: Annotated[
        bool,
        Meta(
            description="Whether other homeservers that offer HTTP/2 are asked by it. It needs fewer "
            "connections, and more processor time than HTTP/1.1."
        ),
    ] = False
    partial_joins: Annotated[
        bool,
        Meta(
            description="Whether rooms of other homeservers may be used as soon as they are joined, while "
            "their members are still being fetched."
        ),
    ] = True
    notaries: Annotated[
        tuple[NotaryConfig, ...],
        Meta(description="Servers that are asked for the keys of others, beside these themselves."),
    ] = ()
    requests: Annotated[int, Meta(ge=1, description="Requests to other homeservers at once.")] = 1000
    requests_per_server: Annotated[
        int, Meta(ge=1, description="Requests to one other homeserver at once; more wait their turn.")
    ] = 8
