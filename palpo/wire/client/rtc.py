"""MatrixRTC (MSC4143)."""

from __future__ import annotations

from typing import Any

from palpo.wire.endpoint import Auth, Endpoint, NoBody, NoParams, Response, draft


class Transports(Response, frozen=True):
    """Through what the members of a call may reach each other; each object has a ``type``."""

    rtc_transports: tuple[dict[str, Any], ...]


get_transports: Endpoint[NoParams, NoBody, Transports] = Endpoint(
    operation_id="msc4143.transports",
    method="GET",
    paths=draft("/rtc/transports", "org.matrix.msc4143"),
    auth=Auth.GUEST,
    response=Transports,
)
