"""End-to-end encryption keys and cross-signing (spec: client-server API, "End-to-End Encryption")."""

from __future__ import annotations

from typing import Any

import msgspec

from palpo.wire.endpoint import (
    KIB,
    Auth,
    Body,
    Endpoint,
    Json,
    Limit,
    NoBody,
    NoParams,
    Params,
    Response,
    client,
    draft,
)


class KeysUpload(Body, frozen=True):
    """Body of /keys/upload; the keys' shapes are checked by ``palpo.core.device_keys``."""

    device_keys: Json | None = None
    one_time_keys: Json | None = None
    fallback_keys: Json | None = None


class KeysUploaded(Response, frozen=True):
    """Algorithm → how many one-time keys nobody has claimed."""

    one_time_key_counts: dict[str, int]


class KeysQuery(Body, frozen=True):
    """Body of /keys/query: user ID → device IDs, none meaning all. ``timeout`` in milliseconds."""

    device_keys: dict[str, list[str]]
    timeout: int | None = None


class KeysQueried(Response, frozen=True):
    """Response of /keys/query."""

    device_keys: dict[str, dict[str, msgspec.Raw]]
    failures: dict[str, Json]
    master_keys: dict[str, msgspec.Raw]
    self_signing_keys: dict[str, msgspec.Raw]
    user_signing_keys: dict[str, msgspec.Raw]


class KeysClaim(Body, frozen=True):
    """Body of /keys/claim: user ID → device ID → algorithm. ``timeout`` in milliseconds."""

    one_time_keys: dict[str, dict[str, str]]
    timeout: int | None = None


class KeysClaimed(Response, frozen=True):
    """Response of /keys/claim: user ID → device ID → ``algorithm:key_id`` → key."""

    one_time_keys: dict[str, dict[str, dict[str, msgspec.Raw]]]
    failures: dict[str, Json]


class ChangesParams(Params, frozen=True):
    """Sync tokens."""

    from_token: str = msgspec.field(name="from")
    to: str


class KeyChanges(Response, frozen=True):
    """User IDs."""

    changed: list[str]
    left: list[str]


class CrossSigningUpload(Body, frozen=True):
    """Body of /keys/device_signing/upload."""

    master_key: Json | None = None
    self_signing_key: Json | None = None
    user_signing_key: Json | None = None
    auth: dict[str, Any] | None = None


SignedObjects = dict[str, dict[str, Json]]
"""Body of /keys/signatures/upload: user ID → device ID or public key → the signed key."""


class SignaturesUploaded(Response, frozen=True):
    """User ID → device ID or public key → error."""

    failures: dict[str, dict[str, Json]]


upload_keys: Endpoint[NoParams, KeysUpload, KeysUploaded] = Endpoint(
    operation_id="uploadKeys",
    method="POST",
    paths=client("/keys/upload"),
    auth=Auth.GUEST,
    limit=Limit.KEYS,
    body=KeysUpload,
    response=KeysUploaded,
)

query_keys: Endpoint[NoParams, KeysQuery, KeysQueried] = Endpoint(
    operation_id="queryKeys",
    method="POST",
    paths=client("/keys/query"),
    auth=Auth.GUEST,
    limit=Limit.KEYS,
    body=KeysQuery,
    response=KeysQueried,
    large_answer=True,
)

claim_keys: Endpoint[NoParams, KeysClaim, KeysClaimed] = Endpoint(
    operation_id="claimKeys",
    method="POST",
    paths=client("/keys/claim"),
    auth=Auth.GUEST,
    limit=Limit.KEYS,
    body=KeysClaim,
    response=KeysClaimed,
)

get_keys_changes: Endpoint[ChangesParams, NoBody, KeyChanges] = Endpoint(
    operation_id="getKeysChanges",
    method="GET",
    paths=client("/keys/changes"),
    params=ChangesParams,
    response=KeyChanges,
)

upload_cross_signing_keys: Endpoint[NoParams, CrossSigningUpload, None] = Endpoint(
    operation_id="uploadCrossSigningKeys",
    method="POST",
    paths=client("/keys/device_signing/upload") + draft("/keys/device_signing/upload"),
    limit=Limit.KEYS,
    body=CrossSigningUpload,
)

upload_cross_signing_signatures: Endpoint[NoParams, SignedObjects, SignaturesUploaded] = Endpoint(
    operation_id="uploadCrossSigningSignatures",
    method="POST",
    paths=client("/keys/signatures/upload") + draft("/keys/signatures/upload"),
    limit=Limit.KEYS,
    body=SignedObjects,
    response=SignaturesUploaded,
    max_body=2048 * KIB,
)
