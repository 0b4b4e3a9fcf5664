"""End-to-end encryption keys and cross-signing."""

from __future__ import annotations

from collections.abc import Sequence

from palpo.api.call import Call, Handlers
from palpo.api.interactive_auth import BY_PASSWORD, authorise, is_by_oauth, repeatable
from palpo.core.errors import InvalidParam
from palpo.services.accounts.registration_stages import OAUTH, UNSTABLE_OAUTH
from palpo.services.accounts.user_interactive_auth import Flow
from palpo.services.encryption.keys import REMOTE_S, check_key_upload
from palpo.services.history.tokens import parse_stream_token
from palpo.wire.client import keys as wire
from palpo.wire.endpoint import Json, NoBody, NoParams

handlers = Handlers()
USERS_FOR_ONE = 50
"""Users, or keys to sign, that cost as much as a request."""
LONGEST_MS = 20_000
"""Milliseconds that a client may wait for other servers."""


@handlers.serves(wire.upload_keys)
async def upload_keys(call: Call, params: NoParams, body: wire.KeysUpload) -> wire.KeysUploaded:
    """POST /keys/upload."""
    requester = call.requester
    if requester.device_id is None:
        raise InvalidParam("The access token is not a device's")
    upload = check_key_upload(
        requester.user_id,
        requester.device_id,
        device_keys=body.device_keys,
        one_time_keys=body.one_time_keys or {},
        fallback_keys=body.fallback_keys or {},
    )
    counts = await call.services.encryption.keys.upload(upload)
    return wire.KeysUploaded(one_time_key_counts=dict(counts))


@handlers.serves(wire.query_keys)
async def query_keys(call: Call, params: NoParams, body: wire.KeysQuery) -> wire.KeysQueried:
    """POST /keys/query."""
    call.charge(len(body.device_keys) // USERS_FOR_ONE)
    found = await call.services.encryption.keys.query(
        call.user_id, body.device_keys, within_s=_within_s(body.timeout)
    )
    return wire.KeysQueried(
        device_keys=found.device_keys,
        failures=found.failures,
        master_keys=found.cross_signing.get("master", {}),
        self_signing_keys=found.cross_signing.get("self_signing", {}),
        user_signing_keys=found.cross_signing.get("user_signing", {}),
    )


@handlers.serves(wire.claim_keys)
async def claim_keys(call: Call, params: NoParams, body: wire.KeysClaim) -> wire.KeysClaimed:
    """POST /keys/claim."""
    call.charge(len(body.one_time_keys) // USERS_FOR_ONE)
    claimed = await call.services.encryption.keys.claim(body.one_time_keys, within_s=_within_s(body.timeout))
    return wire.KeysClaimed(one_time_keys=claimed.one_time_keys, failures=claimed.failures)


@handlers.serves(wire.get_keys_changes)
async def get_keys_changes(call: Call, params: wire.ChangesParams, body: NoBody) -> wire.KeyChanges:
    """GET /keys/changes."""
    since, upto = parse_stream_token(params.from_token), parse_stream_token(params.to)
    changes = await call.services.encryption.device_lists.changes_for(call.user_id, since, upto)
    return wire.KeyChanges(changed=changes.changed, left=changes.left)


@handlers.serves(wire.upload_cross_signing_keys)
@repeatable
async def upload_cross_signing_keys(call: Call, params: NoParams, body: wire.CrossSigningUpload) -> None:
    """POST /keys/device_signing/upload, with user-interactive auth where keys that are there change."""
    given = {
        "master": body.master_key,
        "self_signing": body.self_signing_key,
        "user_signing": body.user_signing_key,
    }
    keys = {usage: key for usage, key in given.items() if key is not None}
    cross_signing = call.services.encryption.cross_signing
    upload = await cross_signing.check_upload(call.user_id, keys)
    if upload.needs_auth and not await cross_signing.may_replace(call.user_id):
        await authorise(call, body.auth, flows=await _flows(call))
    await cross_signing.store(upload)


async def _flows(call: Call) -> Sequence[Flow]:
    """How the caller shows who they are: who has a session by OAuth 2.0, in the browser."""
    if not await is_by_oauth(call):
        return BY_PASSWORD
    if call.services.server.config.delegated:
        # The page is named there.
        await call.services.accounts.delegation.metadata()
    return ((OAUTH,), (UNSTABLE_OAUTH,))


@handlers.serves(wire.upload_cross_signing_signatures)
async def upload_cross_signing_signatures(
    call: Call, params: NoParams, body: dict[str, dict[str, Json]]
) -> wire.SignaturesUploaded:
    """POST /keys/signatures/upload."""
    call.charge(sum(map(len, body.values())) // USERS_FOR_ONE)
    return wire.SignaturesUploaded(
        failures=await call.services.encryption.cross_signing.sign(call.user_id, body)
    )


def _within_s(timeout_ms: int | None) -> float:
    """How long other servers may take, by what the client asks for."""
    return REMOTE_S if timeout_ms is None else min(max(timeout_ms, 1000), LONGEST_MS) / 1000
