"""The directories of other servers (spec: server-server API, "Published room directory")."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from palpo.net.connections import Times
from palpo.net.federation_client import FederationClient
from palpo.net.federation_errors import FederationError
from palpo.services.federation.asking.remote_hierarchy import overview_of
from palpo.services.federation.servers.remote_answers import Malformed, convert, told
from palpo.services.rooms.room_directory import MAX_PAGE, MAX_TERM, DirectoryPage, DirectoryQuery
from palpo.services.rooms.room_overviews import Overview
from palpo.wire.client.room_overviews import RoomSummary
from palpo.wire.endpoint import Response

PATH = "/_matrix/federation/v1/publicRooms"
BYTES = 2 * 1024 * 1024
TIMES = Times(connect_s=5, idle_s=10, whole_s=15)


class _Page(Response, frozen=True):
    chunk: list[Any]
    next_batch: str | None = None
    prev_batch: str | None = None
    total_room_count_estimate: int | None = None


class RemoteDirectories:
    """Asks for them."""

    def __init__(self, client: FederationClient) -> None:
        self._client = client

    async def page(self, server: str, query: DirectoryQuery) -> DirectoryPage:
        """One page; rooms of it that cannot be read are left out. Raises what the server says, NotFound."""
        limit = min(query.limit or MAX_PAGE, MAX_PAGE)
        try:
            answer = await self._ask(server, query, limit)
        except FederationError as error:
            raise told(error) from error
        page = convert(answer, _Page)
        rooms = list(_rooms(page.chunk[:limit]))
        total = page.total_room_count_estimate
        return DirectoryPage(
            rooms=rooms,
            next_batch=page.next_batch,
            prev_batch=page.prev_batch,
            total=len(rooms) if total is None else total,
        )

    async def _ask(self, server: str, query: DirectoryQuery, limit: int) -> dict[str, Any]:
        if query.search or query.room_types is not None:
            content = _content(query, limit)
            return await self._client.json(server, "POST", PATH, content=content, limit=BYTES, times=TIMES)
        pairs = [("limit", str(limit)), *_network(query).items()]
        if query.since:
            pairs.append(("since", query.since))
        return await self._client.json(server, "GET", PATH, query=pairs, limit=BYTES, times=TIMES)


def _network(query: DirectoryQuery) -> dict[str, str]:
    if query.network_id is None:
        return {"include_all_networks": "true"}
    return {"third_party_instance_id": query.network_id} if query.network_id else {}


def _content(query: DirectoryQuery, limit: int) -> dict[str, Any]:
    wanted: dict[str, Any] = {}
    if query.search:
        wanted["generic_search_term"] = query.search[:MAX_TERM]
    if query.room_types is not None:
        wanted["room_types"] = list(query.room_types)
    content: dict[str, Any] = {"limit": limit, "filter": wanted, **_network(query)}
    if query.network_id is None:
        content["include_all_networks"] = True
    if query.since:
        content["since"] = query.since
    return content


def _rooms(chunk: list[Any]) -> Iterator[Overview]:
    for room in chunk:
        try:
            yield overview_of(convert(room, RoomSummary))
        except Malformed:
            continue
