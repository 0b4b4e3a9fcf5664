"""What the server says of itself."""

from __future__ import annotations

from typing import Any

from palpo.api.call import Call, Handlers, Reply
from palpo.core.errors import NotFound, Unavailable
from palpo.core.room_versions import ROOM_VERSIONS
from palpo.services.rooms import delayed_events
from palpo.services.server import turn
from palpo.wire.client import server_info as wire
from palpo.wire.client.login import BaseUrl
from palpo.wire.client.oauth import ACCOUNT_PATH
from palpo.wire.endpoint import NoBody, NoParams

handlers = Handlers()

VERSIONS = wire.Versions(versions=wire.SPEC_VERSIONS, unstable_features=wire.UNSTABLE_FEATURES)
WITH_QR_LOGIN = wire.Versions(
    versions=wire.SPEC_VERSIONS, unstable_features={**wire.UNSTABLE_FEATURES, **wire.QR_LOGIN}
)


@handlers.serves(wire.get_versions)
async def get_versions(call: Call, params: NoParams, body: NoBody) -> wire.Versions:
    """GET /versions."""
    config = call.services.server.config
    return WITH_QR_LOGIN if config.oauth_enabled and config.oauth.qr_login else VERSIONS


@handlers.serves(wire.get_capabilities)
async def get_capabilities(call: Call, params: NoParams, body: NoBody) -> wire.Capabilities:
    """GET /capabilities."""
    requester = call.requester
    config = call.services.server.config
    user = not requester.is_guest
    capabilities: dict[str, Any] = {
        "m.change_password": {"enabled": user and config.passwords_enabled},
        "m.room_versions": {
            "default": config.rooms.default_version,
            "available": {
                version.id: "stable" if version.stable else "unstable" for version in ROOM_VERSIONS.values()
            },
        },
        "m.set_displayname": {"enabled": True},
        "m.set_avatar_url": {"enabled": user},
        "m.profile_fields": {"enabled": True} if user else {"enabled": True, "allowed": ["displayname"]},
        "m.3pid_changes": {
            "enabled": user and not config.delegated and call.services.accounts.threepids.enabled
        },
        "m.get_login_token": {"enabled": user and config.passwords_enabled},
        "m.forget_forced_upon_leave": {"enabled": False},
        "org.matrix.msc4140.delayed_events": {
            "max_delay_ms": delayed_events.MAX_DELAY_MS,
            "max_scheduled": delayed_events.MAX_PER_USER,
        },
    }
    if requester.is_admin:
        capabilities["m.account_moderation"] = {"suspend": True, "lock": True}
    return wire.Capabilities(capabilities=capabilities)


@handlers.serves(wire.get_wellknown)
async def get_wellknown(call: Call, params: NoParams, body: NoBody) -> wire.Discovery:
    """GET /.well-known/matrix/client."""
    config = call.services.server.config
    if not config.public_url:
        raise NotFound("No server discovery information")
    return wire.Discovery(
        homeserver=BaseUrl(base_url=config.public_url),
        rtc_foci=config.rtc.transports or None,
        authentication=await _authentication(call),
    )


async def _authentication(call: Call) -> wire.Authentication | None:
    """Who signs users in by OAuth 2.0 (MSC2965, as it was)."""
    config = call.services.server.config
    if config.oauth_enabled:
        base = config.public_url.rstrip("/")
        return wire.Authentication(issuer=f"{base}/", account=base + ACCOUNT_PATH)
    if not config.delegated:
        return None
    try:
        found = await call.services.accounts.delegation.metadata()
    except Unavailable:
        return None
    return wire.Authentication(
        issuer=str(found["issuer"]), account=str(found.get("account_management_uri", found["issuer"]))
    )


@handlers.serves(wire.get_wellknown_support)
async def get_wellknown_support(call: Call, params: NoParams, body: NoBody) -> wire.Support:
    """GET /.well-known/matrix/support."""
    config = call.services.server.config.well_known
    contacts = []
    if config.admin_email or config.admin_matrix_id:
        contacts.append(
            wire.Contact(
                role="m.role.admin",
                matrix_id=config.admin_matrix_id or None,
                email_address=config.admin_email or None,
            )
        )
    if config.security_email:
        contacts.append(wire.Contact(role="m.role.security", email_address=config.security_email))
    if not contacts and not config.support_page:
        raise NotFound("No support information")
    return wire.Support(contacts=contacts or None, support_page=config.support_page or None)


@handlers.serves(wire.get_wellknown_policy)
async def get_wellknown_policy(call: Call, params: NoParams, body: NoBody) -> wire.PolicyServer:
    """GET /.well-known/matrix/policy_server."""
    key = call.services.server.config.well_known.policy_server_key
    if not key:
        raise NotFound("There is no policy server of this name")
    return wire.PolicyServer(public_keys={"ed25519": key})


@handlers.serves(wire.get_wellknown_server)
async def get_wellknown_server(call: Call, params: NoParams, body: NoBody) -> wire.ServerDelegation:
    """GET /.well-known/matrix/server."""
    server = call.services.server.config.well_known.server
    if not server:
        raise NotFound("This server delegates to no other")
    return wire.ServerDelegation(server=server)


@handlers.serves(wire.get_turn_server)
async def get_turn_server(call: Call, params: NoParams, body: NoBody) -> wire.TurnServer | Reply:
    """GET /voip/turnServer.

    Without a TURN server it is ``{}``, which the schema does not have: clients take that as an answer, and an
    error as a reason to ask again.
    """
    services = call.services
    found = turn.credentials(services.server.config.turn, call.user_id, services.server.clock.now_ms())
    if found is None:
        return Reply(body=b"{}")
    return wire.TurnServer(username=found.username, password=found.password, uris=found.uris, ttl=found.ttl)
