"""Who logs in, however they say so (spec: client-server API, "Identifier types")."""

from __future__ import annotations

from palpo.core.errors import BadRequest, Forbidden, MissingParam
from palpo.services.accounts.threepids import ThirdPartyIds
from palpo.wire.client.login import Identified, Identifier

USER, THIRD_PARTY, PHONE = "m.id.user", "m.id.thirdparty", "m.id.phone"


async def user_of(said: Identified, threepids: ThirdPartyIds) -> str:
    """The user ID or localpart that a client says; for an address, the user whose account has it.

    Raises MissingParam, Forbidden for addresses that cannot be anybody's, and BadRequest for identifiers of
    types that the spec does not have. An address that is nobody's gives a user who does not exist.
    """
    identifier = said.identifier or Identifier(user=said.user, medium=said.medium, address=said.address)
    by_address = identifier.user is None and identifier.medium is not None
    kind = identifier.type or (THIRD_PARTY if by_address else USER)
    if kind == USER:
        if identifier.user is None:
            raise MissingParam("identifier.user is missing")
        return identifier.user
    if kind not in (THIRD_PARTY, PHONE):
        raise BadRequest("Unknown type of identifier", errcode="M_UNKNOWN")
    if kind == PHONE or identifier.medium is None or identifier.address is None:
        raise Forbidden("The third-party identifier is not known")
    owner = await threepids.owner(identifier.medium, identifier.address)
    return owner or f"{identifier.medium}:{identifier.address}"
