"""Profiles and aliases, asked of the servers that they belong to."""

from __future__ import annotations

from typing import Any

from palpo.core.identifiers import RoomAlias, RoomId, UserId, is_server_name, server_name_of
from palpo.net.federation_client import FederationClient
from palpo.services.federation.servers.remote_answers import convert, or_not_found
from palpo.wire.federation.queries import RoomOfAlias

PROFILE_BYTES = 128 * 1024
MAX_SERVERS = 100
"""Of those that are said to be in a room."""


class RemoteQueries:
    """Asks them."""

    def __init__(self, client: FederationClient) -> None:
        self._client = client

    async def profile(self, user_id: UserId, key: str | None) -> dict[str, Any]:
        """The fields of a profile, or the one called ``key``; raises NotFound."""
        query = [("user_id", user_id), *([("field", key)] if key is not None else [])]
        with or_not_found("Profile not found"):
            return await self._client.json(
                server_name_of(user_id),
                "GET",
                "/_matrix/federation/v1/query/profile",
                query=query,
                limit=PROFILE_BYTES,
            )

    async def resolve(self, alias: RoomAlias) -> tuple[RoomId, list[str]]:
        """The room that an alias stands for, and servers that are in it; raises NotFound."""
        with or_not_found("There is no such room alias"):
            answer = await self._client.json(
                server_name_of(alias),
                "GET",
                "/_matrix/federation/v1/query/directory",
                query=[("room_alias", alias)],
            )
            found = convert(answer, RoomOfAlias)
        return found.room_id, [server for server in found.servers if is_server_name(server)][:MAX_SERVERS]
