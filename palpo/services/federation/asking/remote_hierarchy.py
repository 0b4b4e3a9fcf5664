"""Rooms that are not here and their children, as servers in them show them (spec: server-server API,
"Spaces")."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote

from palpo.core.errors import InvalidParam
from palpo.core.events import Event, KeptEvent
from palpo.core.identifiers import (
    RoomId,
    ServerName,
    UserId,
    is_room_id,
    is_server_name,
    is_user_id,
    parse_room_id,
)
from palpo.net.connections import Times
from palpo.net.federation_client import FederationClient
from palpo.services.federation.servers.peers import Peers
from palpo.services.federation.servers.remote_answers import Malformed, convert
from palpo.services.federation.servers.room_servers import RoomServers
from palpo.services.rooms.remote_rooms import Look
from palpo.services.rooms.room_overviews import Overview
from palpo.services.rooms.space_rooms import CHILD, SpaceRoom, child_order, is_child
from palpo.streams.caches import Cache, CacheBudget
from palpo.streams.clock import Clock
from palpo.wire.client.room_overviews import RoomSummary
from palpo.wire.client.room_overviews import SpaceRoom as WireSpaceRoom

MAX_CHILDREN = 1000
TIMES = Times(connect_s=5, idle_s=10, whole_s=10)
KEPT_MS = 5 * 60_000
"""For which an answer is kept; that nobody answered is not."""


class RemoteHierarchy:
    """Asks them."""

    def __init__(
        self,
        client: FederationClient,
        servers: RoomServers,
        peers: Peers,
        clock: Clock,
        caches: CacheBudget,
        server_name: ServerName,
    ) -> None:
        self._client = client
        self._servers = servers
        self._peers = peers
        self._clock = clock
        self._server_name = server_name
        self._looks: Cache[tuple[str, bool], tuple[int, Look]] = caches.cache("remote_hierarchy")

    async def is_here(self, room_id: RoomId) -> bool:
        """Whether a user of ours is in a room."""
        return await self._servers.is_in(room_id, self._server_name)

    async def look(
        self, room_id: RoomId, servers: Sequence[str], *, suggested_only: bool = False
    ) -> Look | None:
        """A room as one of the servers, or that of its ID, shows it; None where none does."""
        key = room_id, suggested_only
        kept = self._looks.touch(key)
        if kept is not None and kept[0] > self._clock.now_ms():
            return kept[1]
        ask = partial(self._ask, room_id=room_id, suggested_only=suggested_only)
        look = await self._peers.of(self._worth_asking(room_id, servers), ask)
        if look is not None:
            self._looks.keep({key: (self._clock.now_ms() + KEPT_MS, look)})
        return look

    def _worth_asking(self, room_id: RoomId, servers: Sequence[str]) -> list[ServerName]:
        named = [*servers, room_id.partition(":")[2]]
        others = (name for name in named if name != self._server_name and is_server_name(name))
        return [ServerName(name) for name in dict.fromkeys(others)]

    async def _ask(self, server: ServerName, room_id: RoomId, suggested_only: bool) -> Look:
        answer = await self._client.json(
            server,
            "GET",
            f"/_matrix/federation/v1/hierarchy/{quote(room_id, safe='')}",
            query=[("suggested_only", "true" if suggested_only else "false")],
            levels=3,
            times=TIMES,
        )
        return look_of(answer, room_id)


def look_of(answer: Mapping[str, Any], room_id: RoomId) -> Look:
    """What an answer shows of the room; of its children, those that are none are left out.

    Raises Malformed, also where it is another room.
    """
    room = convert(answer.get("room") or {}, WireSpaceRoom)
    if room.room_id != room_id:
        raise Malformed("The answer is about another room")
    children = sorted(_children(room), key=child_order)
    named = {child.state_key for child in children}
    return Look(
        room=SpaceRoom(overview=overview_of(room), children=children, places=range(len(children))),
        known={item.room_id: item for item in _known(answer.get("children")) if item.room_id in named},
        hidden=frozenset(_texts(answer.get("inaccessible_children"))) & named,
    )


def overview_of(room: RoomSummary) -> Overview:
    """What another server says of a room; raises Malformed where the room's ID is none."""
    join_rule = room.join_rule or "public"
    restricted = join_rule in ("restricted", "knock_restricted")
    try:
        room_id = parse_room_id(room.room_id)
    except InvalidParam as error:
        raise Malformed("Not a room ID") from error
    return Overview(
        room_id=room_id,
        joined=max(0, room.num_joined_members),
        name=room.name,
        topic=room.topic,
        avatar_url=room.avatar_url,
        canonical_alias=room.canonical_alias,
        join_rule=join_rule,
        room_type=room.room_type,
        room_version=room.room_version,
        encryption=room.encryption,
        world_readable=room.world_readable,
        guest_can_join=room.guest_can_join,
        knockable=join_rule in ("knock", "knock_restricted"),
        allowed_room_ids=tuple(room.allowed_room_ids or ()) if restricted else None,
    )


def _known(children: object) -> Iterator[Overview]:
    for child in _list(children):
        try:
            yield overview_of(convert(child, RoomSummary))
        except Malformed:
            continue


def _children(room: WireSpaceRoom) -> Iterator[Event]:
    for child in room.children_state[:MAX_CHILDREN]:
        content, state_key, sender = child.get("content"), child.get("state_key"), child.get("sender")
        time = child.get("origin_server_ts")
        if child.get("type") != CHILD or not isinstance(content, dict) or not is_child(content):
            continue
        if is_room_id(state_key) and is_user_id(sender) and type(time) is int:
            yield KeptEvent(
                event_id="",
                room_id=RoomId(room.room_id),
                type=CHILD,
                sender=UserId(str(sender)),
                state_key=state_key,
                origin_server_ts=time,
                client=b"{}",
                decoded=content,
            )


def _texts(value: object) -> Iterator[str]:
    return (item for item in _list(value) if isinstance(item, str))


def _list(value: object) -> list[Any]:
    return value[:MAX_CHILDREN] if isinstance(value, list) else []
