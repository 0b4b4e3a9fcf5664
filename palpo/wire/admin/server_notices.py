"""Sending server notices: an administrator's request, as Synapse's admin API has it."""

from __future__ import annotations

from typing import Any

from palpo.core.identifiers import UserId
from palpo.wire.client.sending import Sent
from palpo.wire.endpoint import Auth, Body, Endpoint, NoParams, Params

PATH = "/_synapse/admin/v1/send_server_notice"


class ServerNotice(Body, frozen=True):
    """A notice to one user."""

    user_id: UserId
    content: dict[str, Any]
    type: str = "m.room.message"
    state_key: str | None = None


class ServerNoticeParams(Params, frozen=True):
    """What makes the request the same when it is sent again."""

    transaction_id: str


send_server_notice: Endpoint[NoParams, ServerNotice, Sent] = Endpoint(
    operation_id="synapse.sendServerNotice",
    method="POST",
    paths=(PATH,),
    auth=Auth.ADMIN,
    body=ServerNotice,
    response=Sent,
)

put_server_notice: Endpoint[ServerNoticeParams, ServerNotice, Sent] = Endpoint(
    operation_id="synapse.putServerNotice",
    method="PUT",
    paths=(PATH + "/{transaction_id}",),
    auth=Auth.ADMIN,
    params=ServerNoticeParams,
    body=ServerNotice,
    response=Sent,
)
