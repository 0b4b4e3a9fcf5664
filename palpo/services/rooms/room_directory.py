"""The published room directory (spec: client-server API, "Published room directory")."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from palpo.core.errors import InvalidParam, NotFound
from palpo.core.folded_text import fold
from palpo.core.identifiers import RoomId, ServerName, parse_server_name
from palpo.db.engine import Database
from palpo.services.accounts.sessions import Requester
from palpo.services.history.room_access import RoomAccess
from palpo.services.history.room_heads import RoomHeads
from palpo.services.rooms.room_overviews import Overview, Overviews
from palpo.storage import room_directory as storage
from palpo.streams import topics
from palpo.streams.caches import Cache, CacheBudget
from palpo.streams.sizes import deep_size
from palpo.streams.wakeups import Wakeups

MAX_PAGE = 500
MAX_TERM = 1024
"""Characters of what is searched for."""
CANONICAL_ALIAS = "m.room.canonical_alias"


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryQuery:
    """Which of the listed rooms are wanted."""

    search: str | None = None
    """What the name, the topic or the canonical alias has in it (``core.folded_text``)."""
    room_types: Sequence[str | None] | None = None
    """None inside of it for rooms without a type; None for every type."""
    network_id: str | None = ""
    """Empty for the server's own list, None for all lists."""
    limit: int | None = None
    since: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryPage:
    """One page of the directory."""

    rooms: Sequence[Overview]
    next_batch: str | None
    prev_batch: str | None
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """A list as it was at a position of the stream."""

    position: int
    rooms: Mapping[str, Overview]
    ordered: Sequence[Overview]


class RemoteDirectory(Protocol):
    """The directories of other servers."""

    async def page(self, server: str, query: DirectoryQuery, /) -> DirectoryPage:
        """One page of ``server``'s directory."""
        ...


class RoomDirectory:
    """The rooms that this server publishes."""

    def __init__(
        self,
        db: Database,
        heads: RoomHeads,
        access: RoomAccess,
        overviews: Overviews,
        wakeups: Wakeups,
        caches: CacheBudget,
        *,
        server_name: ServerName,
        remote: RemoteDirectory | None = None,
    ) -> None:
        self._db = db
        self._heads = heads
        self._access = access
        self._overviews = overviews
        self._wakeups = wakeups
        self._server_name = server_name
        self._remote = remote
        """Asks other servers for theirs; None where there is no federation."""
        self._kept: Cache[str | None, _Kept] = caches.cache("room_directory", _kept_bytes)

    async def publish(self, room_id: RoomId, *, listed: bool = True, network_id: str = "") -> None:
        """List a room, or do so no longer."""
        await self._db.write(lambda tx: storage.put(tx, room_id, network_id=network_id, listed=listed))

    async def is_listed(self, room_id: RoomId) -> bool:
        """Whether the directory lists a room; raises NotFound for an unknown room."""
        await self._heads.get(room_id)
        return await self._db.read(lambda tx: storage.is_listed(tx, room_id))

    async def set_listed(self, requester: Requester, room_id: RoomId, *, listed: bool) -> None:
        """List a room or not, for those who may set its canonical alias; raises Forbidden, NotFound."""
        head = await self._heads.get(room_id)
        if not requester.is_admin:
            await self._access.require_power(head, requester.user_id, CANONICAL_ALIAS)
        await self.publish(room_id, listed=listed)

    async def set_listed_for_network(self, network_id: str, room_id: RoomId, *, listed: bool) -> None:
        """List a room in the list of an application service's network; raises NotFound."""
        if not network_id or len(network_id.encode()) > 255:
            raise InvalidParam("Not a network")
        await self._heads.get(room_id)
        await self.publish(room_id, listed=listed, network_id=network_id)

    async def page(self, query: DirectoryQuery, *, server: str | None = None) -> DirectoryPage:
        """One page of the rooms wanted, those with most members first; raises InvalidParam, NotFound."""
        if server is not None and server != self._server_name:
            if self._remote is None:
                raise NotFound("This server does not federate")
            return await self._remote.page(parse_server_name(server), query)
        if query.limit is not None and query.limit < 0:
            raise InvalidParam("limit is negative")
        start = _offset(query.since)
        size = min(query.limit or MAX_PAGE, MAX_PAGE)
        rooms = await self._listed(query.network_id)
        if query.search or query.room_types is not None:
            # There may be many rooms, with long topics.
            rooms = await asyncio.to_thread(_wanted, rooms, query)
        chunk = rooms[start : start + size]
        end = start + len(chunk)
        return DirectoryPage(
            rooms=chunk,
            next_batch=f"o{end}" if end < len(rooms) else None,
            prev_batch=f"o{max(0, start - size)}" if start > 0 else None,
            total=len(rooms),
        )

    async def _listed(self, network_id: str | None) -> Sequence[Overview]:
        """Every room of a list, sorted; only what was written since the last time is looked at."""
        position = self._wakeups.position
        kept = self._kept.touch(network_id)
        news = self._wakeups.changed_since(kept.position) if kept is not None else None
        if kept is None or news is None or topics.DIRECTORY in news:
            roots = await self._db.read(lambda tx: storage.listed_rooms(tx, network_id))
            kept = _kept(position, await self._overviews.get_many(roots))
        else:
            changed = news.get(topics.HEAD, set()) & kept.rooms.keys()
            heads = [await self._heads.get(room_id) for room_id in changed]
            fresh = await self._overviews.get_many({head.room_id: head.state_root for head in heads})
            if any(kept.rooms[room_id] != room for room_id, room in fresh.items()):
                kept = _kept(position, {**kept.rooms, **fresh})
            else:
                kept = replace(kept, position=position)
        if network_id in (None, ""):
            self._kept.keep({network_id: kept})
        return kept.ordered


def _kept_bytes(network_id: str | None, kept: _Kept) -> int:
    """Of the rooms' places; what is shown of them is counted too, for another cache may have dropped it."""
    return 1000 + 150 * len(kept.rooms) + deep_size(kept.ordered)


def _kept(position: int, rooms: Mapping[str, Overview]) -> _Kept:
    ordered = sorted(rooms.values(), key=lambda item: (-item.joined, item.room_id))
    return _Kept(position=position, rooms=rooms, ordered=ordered)


def _wanted(rooms: Sequence[Overview], query: DirectoryQuery) -> Sequence[Overview]:
    term = fold((query.search or "")[:MAX_TERM]).strip()
    types = query.room_types
    return [item for item in rooms if (types is None or item.room_type in types) and _has(item, term)]


def _has(room: Overview, term: str) -> bool:
    texts = (room.name, room.topic, room.canonical_alias)
    return not term or any(text is not None and term in fold(text) for text in texts)


def _offset(since: str | None) -> int:
    if since is None or since == "":
        return 0
    digits = since[1:]
    if since[0] != "o" or not digits.isascii() or not digits.isdigit() or len(digits) > 9:
        raise InvalidParam("Not a token of this directory")
    return int(digits)
