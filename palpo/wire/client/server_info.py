"""What the server says of itself: versions, capabilities, discovery, TURN (spec: client-server API)."""

from __future__ import annotations

from typing import Any

import msgspec

from palpo.wire.client.login import WellKnown
from palpo.wire.endpoint import Auth, Endpoint, Limit, NoBody, NoParams, Response, client

SPEC_VERSIONS = (
    *("r0.0.1", "r0.1.0", "r0.2.0", "r0.3.0", "r0.4.0", "r0.5.0", "r0.6.0", "r0.6.1"),
    *(f"v1.{minor}" for minor in range(1, 20)),
)
"""The versions of the specification whose mandatory parts are implemented."""

UNSTABLE_FEATURES = {
    "org.matrix.msc2836": True,
    "org.matrix.msc3391": True,
    "org.matrix.msc3814": True,
    "org.matrix.msc3882": True,
    "org.matrix.msc4140": True,
    "org.matrix.msc4143": True,
    "org.matrix.msc4155": True,
    "org.matrix.msc4306": True,
    "org.matrix.simplified_msc3575": True,
    "uk.half-shot.msc2666.query_mutual_rooms": True,
    "uk.half-shot.msc2666.query_mutual_rooms.stable": True,
    "uk.timedout.msc4323": True,
}
"""Proposals that are served under their unstable names: those with a name for it, which clients look for."""

QR_LOGIN = {"org.matrix.msc4108": True, "io.element.msc4388": True}
"""The same, where devices are signed in by QR codes."""


class Versions(Response, frozen=True):
    """Versions of the specification, and proposals that are not in it."""

    versions: tuple[str, ...]
    unstable_features: dict[str, bool]


class Capabilities(Response, frozen=True):
    """Optional features, by name."""

    capabilities: dict[str, Any]


class Contact(Response, frozen=True):
    """How to reach an administrator."""

    role: str
    matrix_id: str | None = None
    email_address: str | None = None


class Support(Response, frozen=True):
    """How to get help."""

    contacts: list[Contact] | None = None
    support_page: str | None = None


class Authentication(Response, frozen=True):
    """Who grants access, and where users look after their accounts (MSC2965, as it was)."""

    issuer: str
    account: str


class Discovery(WellKnown, frozen=True):
    """Where the server is, and through what calls go (MSC4143)."""

    authentication: Authentication | None = msgspec.field(
        name="org.matrix.msc2965.authentication", default=None
    )

    rtc_foci: tuple[dict[str, Any], ...] | None = msgspec.field(
        name="org.matrix.msc4143.rtc_foci", default=None
    )


class PolicyServer(Response, frozen=True):
    """The policy server of this name."""

    public_keys: dict[str, str]
    """By algorithm, in unpadded base64."""


class ServerDelegation(Response, frozen=True):
    """Where other servers are sent."""

    server: str = msgspec.field(name="m.server")


class TurnServer(Response, frozen=True):
    """Credentials for TURN; ``ttl`` in seconds."""

    username: str
    password: str
    uris: tuple[str, ...]
    ttl: int


get_versions: Endpoint[NoParams, NoBody, Versions] = Endpoint(
    operation_id="getVersions",
    method="GET",
    paths=("/_matrix/client/versions",),
    auth=Auth.NONE,
    limit=Limit.NONE,
    response=Versions,
)

get_capabilities: Endpoint[NoParams, NoBody, Capabilities] = Endpoint(
    operation_id="getCapabilities",
    method="GET",
    paths=client("/capabilities"),
    auth=Auth.GUEST,
    response=Capabilities,
)

get_wellknown: Endpoint[NoParams, NoBody, Discovery] = Endpoint(
    operation_id="getWellknown",
    method="GET",
    paths=("/.well-known/matrix/client",),
    auth=Auth.NONE,
    limit=Limit.NONE,
    response=Discovery,
)

get_wellknown_support: Endpoint[NoParams, NoBody, Support] = Endpoint(
    operation_id="getWellknownSupport",
    method="GET",
    paths=("/.well-known/matrix/support",),
    auth=Auth.NONE,
    limit=Limit.NONE,
    response=Support,
)

get_wellknown_policy: Endpoint[NoParams, NoBody, PolicyServer] = Endpoint(
    operation_id="getWellknownPolicy",
    method="GET",
    paths=("/.well-known/matrix/policy_server",),
    auth=Auth.NONE,
    limit=Limit.NONE,
    response=PolicyServer,
)

get_wellknown_server: Endpoint[NoParams, NoBody, ServerDelegation] = Endpoint(
    operation_id="getWellKnown",
    method="GET",
    paths=("/.well-known/matrix/server",),
    auth=Auth.NONE,
    limit=Limit.NONE,
    response=ServerDelegation,
    api="server-server",
)

get_turn_server: Endpoint[NoParams, NoBody, TurnServer] = Endpoint(
    operation_id="getTurnServer",
    method="GET",
    paths=client("/voip/turnServer"),
    auth=Auth.GUEST,
    response=TurnServer,
)
