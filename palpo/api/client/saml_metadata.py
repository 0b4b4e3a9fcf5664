"""What a provider of SAML has to know of this server."""

from __future__ import annotations

from palpo.api.call import Call, Handlers, Reply
from palpo.core.errors import NotFound
from palpo.services.sign_on.saml import SamlProvider
from palpo.wire.client import sso as wire
from palpo.wire.endpoint import NoBody

handlers = Handlers()


@handlers.serves(wire.get_saml_metadata)
async def get_saml_metadata(call: Call, params: wire.SamlParams, body: NoBody) -> Reply:
    """GET /_synapse/client/saml2/metadata.xml."""
    providers = [item for item in call.services.sign_on.providers if isinstance(item, SamlProvider)]
    wanted = [item for item in providers if params.id in ("", item.id)]
    if len(wanted) != 1:
        raise NotFound("There is no such provider, or several: name one by its id")
    return Reply(body=await wanted[0].metadata(), content_type="application/samlmetadata+xml")
