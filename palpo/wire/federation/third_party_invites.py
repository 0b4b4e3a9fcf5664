"""Invites by address across servers (spec: server-server API, "Third-party invites")."""

from __future__ import annotations

from typing import Any

from palpo.core.identifiers import RoomId, UserId
from palpo.wire.endpoint import Auth, Body, Endpoint, Limit, NoParams, RoomParams, federation


class ThirdPartyInvite(Body, frozen=True):
    """What proves that an address is somebody's."""

    display_name: str
    signed: dict[str, Any]


class InviteContent(Body, frozen=True):
    """The content of an invite."""

    membership: str
    third_party_invite: ThirdPartyInvite


class PartialInvite(Body, frozen=True):
    """The invite that a pending one is to become."""

    type: str
    room_id: RoomId
    sender: UserId
    """Of the pending one."""
    state_key: UserId
    content: InviteContent


class BoundInvite(Body, frozen=True):
    """A pending invite of an address."""

    medium: str
    address: str
    mxid: UserId
    room_id: RoomId
    sender: UserId
    signed: dict[str, Any]


class Binding(Body, frozen=True):
    """Whose an address is now, and to what it had been invited."""

    medium: str
    address: str
    mxid: UserId
    invites: list[BoundInvite]


exchange_third_party_invite: Endpoint[RoomParams, PartialInvite, None] = Endpoint(
    operation_id="exchangeThirdPartyInvite",
    method="PUT",
    paths=federation("/exchange_third_party_invite/{room_id}"),
    auth=Auth.SERVER,
    limit=Limit.FEDERATION,
    params=RoomParams,
    body=PartialInvite,
    api="server-server",
)

on_bind: Endpoint[NoParams, Binding, None] = Endpoint(
    operation_id="onBindThirdPartyIdentifier",
    method="PUT",
    paths=federation("/3pid/onbind"),
    auth=Auth.NONE,
    limit=Limit.THIRD_PARTY,
    body=Binding,
    api="server-server",
)
