"""How a user of this server changes what they are to a room through a server that is in it.

    make_… ─▶ template ─▶ an event of our own ─▶ send_…

Spec: server-server API, "Joining Rooms", "Knocking upon a room", "Leaving Rooms (Rejecting Invites)".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar
from urllib.parse import quote

from palpo.core.identifiers import ServerName
from palpo.core.membership import LEAVE
from palpo.core.room_versions import ALL_ROOM_VERSIONS
from palpo.net.connections import Times
from palpo.net.federation_answer import FederationAnswer
from palpo.net.federation_client import FederationClient
from palpo.net.federation_errors import ServerError
from palpo.services.federation.events.templates import Prepared, Signer, Template, Wish, prepare
from palpo.services.federation.servers.remote_answers import convert
from palpo.services.federation.servers.told_servers import ToldServers

T = TypeVar("T")
Read = Callable[[int, FederationAnswer], Awaitable[T]]
"""``async def read(version, answer)``: the version of the endpoint that answered, and its answer."""

MAKE_TIMES = Times(whole_s=30.0, connect_s=10.0, idle_s=30.0)
MAKE_BYTES = 256 * 1024
"""Of a template: an event, with room to spare."""


class Handshakes:
    """Asks for templates, and sends what is made of them."""

    def __init__(self, client: FederationClient, signer: Signer, told: ToldServers) -> None:
        self._client = client
        self._signer = signer
        self._told = told

    async def make(self, server: ServerName, wish: Wish) -> Prepared:
        """The event of a wish, as a server would take it; raises FederationError, MatrixError."""
        await self._told.wait(server)
        membership = wish.membership
        path = f"/_matrix/federation/v1/make_{membership}/{_quoted(wish.room_id)}/{_quoted(wish.user_id)}"
        versions = [] if membership is LEAVE else [("ver", version) for version in ALL_ROOM_VERSIONS]
        answer = await self._client.json(
            server, "GET", path, query=versions, limit=MAKE_BYTES, times=MAKE_TIMES
        )
        return prepare(self._signer, wish, convert(answer, Template))

    async def send(
        self,
        server: ServerName,
        prepared: Prepared,
        read: Read[T],
        *,
        versions: Sequence[int],
        limit: int,
        times: Times,
        query: Sequence[tuple[str, str]] = (),
    ) -> T:
        """What ``read`` makes of the answer, of up to ``limit`` bytes, to an event that is sent.

        ``versions`` are those of the endpoint, the newest first: where a server does not know one, the next
        is tried. Raises FederationError, and what ``read`` raises.
        """
        event = prepared.event
        path = f"send_{event.content['membership']}/{_quoted(event.room_id)}/{_quoted(event.event_id)}"
        for version in versions:
            whole = f"/_matrix/federation/v{version}/{path}"
            try:
                async with self._client.request(
                    server, "PUT", whole, query=query, content=event.pdu, limit=limit, times=times
                ) as answer:
                    return await read(version, answer)
            except ServerError as error:
                if version == versions[-1] or not unknown_endpoint(error):
                    raise
        raise ValueError("no version of the endpoint is to be tried")


def unknown_endpoint(error: ServerError) -> bool:
    """Whether a server does not have what was asked of it (spec: "Unsupported endpoints"), or may not."""
    return error.status in (400, 404, 405) and error.errcode in ("", "M_UNRECOGNIZED")


def _quoted(text: str) -> str:
    return quote(text, safe="")
