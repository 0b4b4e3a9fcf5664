"""What the handshakes of joins, knocks and leaves have in common."""

from __future__ import annotations

from collections.abc import Collection

from palpo.api.call import Call
from palpo.core.membership import Membership
from palpo.wire.federation.memberships import MakeParams, Template


async def template(
    call: Call, params: MakeParams, membership: Membership, versions: Collection[str] | None = None
) -> Template:
    """The event that the server has to sign and send."""
    made = await call.services.federation.membership_templates.make(
        call.origin, params.room_id, params.user_id, membership, versions
    )
    return Template(room_version=made.room_version, event=made.event)
