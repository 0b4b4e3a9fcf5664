"""What the server tells other servers of itself."""

from __future__ import annotations

from palpo import __version__
from palpo.api.call import Call, Handlers
from palpo.wire.endpoint import NoBody, NoParams
from palpo.wire.federation import server_info as wire

handlers = Handlers()


@handlers.serves(wire.get_version)
async def get_version(call: Call, params: NoParams, body: NoBody) -> wire.Version:
    """GET /_matrix/federation/v1/version."""
    return wire.Version(server=wire.Implementation(name="Palpo", version=__version__))
