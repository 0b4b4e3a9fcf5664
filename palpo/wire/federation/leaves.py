"""Leaving rooms, and declining invites, by users of other servers.

Spec: server-server API, "Leaving Rooms".
"""

from __future__ import annotations

from typing import Any

from palpo.wire.endpoint import Auth, Endpoint, EventParams, Json, Limit, NoBody, federation
from palpo.wire.federation.memberships import MakeParams, Template

make_leave: Endpoint[MakeParams, NoBody, Template] = Endpoint(
    operation_id="makeLeave",
    method="GET",
    paths=federation("/make_leave/{room_id}/{user_id}"),
    auth=Auth.SERVER,
    limit=Limit.FEDERATION,
    params=MakeParams,
    response=Template,
    api="server-server",
)

send_leave: Endpoint[EventParams, Json, None] = Endpoint(
    operation_id="sendLeaveV2",
    method="PUT",
    paths=federation("/send_leave/{room_id}/{event_id}", "v2"),
    auth=Auth.SERVER,
    limit=Limit.FEDERATION,
    params=EventParams,
    body=Json,
    api="server-server",
)

send_leave_v1: Endpoint[EventParams, Json, list[Any]] = Endpoint(
    operation_id="palpo.sendLeaveV1",
    method="PUT",
    paths=federation("/send_leave/{room_id}/{event_id}"),
    auth=Auth.SERVER,
    limit=Limit.FEDERATION,
    params=EventParams,
    body=Json,
    response=list[Any],
    api="server-server",
    deprecated=True,
)
"""The spec has dropped it: the answer is ``[200, {}]``."""
