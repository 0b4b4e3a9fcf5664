"""What runs here, for administrators."""

from palpo import __version__
from palpo.api.call import Call, Handlers
from palpo.wire.admin import server_version as wire
from palpo.wire.endpoint import NoBody, NoParams

handlers = Handlers()


@handlers.serves(wire.server_version)
async def server_version(call: Call, params: NoParams, body: NoBody) -> wire.ServerVersion:
    """GET /_synapse/admin/v1/server_version."""
    return wire.ServerVersion(server_version=f"Palpo {__version__}")
