"""Signatures of policy servers (spec: server-server API, "Policy Servers"; MSC4284)."""

from __future__ import annotations

from palpo.wire.endpoint import Auth, Endpoint, Json, Limit, NoParams

ask_policy_server_to_sign: Endpoint[NoParams, Json, Json] = Endpoint(
    operation_id="askPolicyServerToSign",
    method="POST",
    paths=("/_matrix/policy/v1/sign",),
    auth=Auth.SERVER,
    limit=Limit.FEDERATION,
    body=Json,
    response=Json,
    api="server-server",
)
