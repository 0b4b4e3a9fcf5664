"""What application services may ask for (spec: application service API, "Client-Server API Extensions").

Their room directories are in ``room_directory``, their logins in ``login`` and ``registration``.
"""

from __future__ import annotations

from palpo.wire.endpoint import Auth, Body, Endpoint, Params, Response, client


class PingParams(Params, frozen=True):
    """Which application service."""

    appservice_id: str


class Ping(Body, frozen=True):
    """Body of the ping; the transaction ID is passed on."""

    transaction_id: str | None = None


class Pinged(Response, frozen=True):
    """How long the application service took, in milliseconds."""

    duration_ms: int


ping_appservice: Endpoint[PingParams, Ping, Pinged] = Endpoint(
    operation_id="pingAppservice",
    method="POST",
    paths=client("/appservice/{appservice_id}/ping", "v1", unstable=("fi.mau.msc2659",)),
    auth=Auth.APPSERVICE,
    params=PingParams,
    body=Ping,
    response=Pinged,
)
