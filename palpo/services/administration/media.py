"""Media of rooms, and media that nobody has asked for in a long time."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from palpo.core.errors import NotFound
from palpo.core.identifiers import MxcUri, RoomId, ServerName, parse_mxc_uri
from palpo.core.records.media import MediaRecord
from palpo.db.engine import Database
from palpo.services.history.room_heads import RoomHeads
from palpo.services.media.media_cleanup import MediaCleanup
from palpo.services.media.quarantine import Quarantine
from palpo.services.rooms.room_overviews import Overviews
from palpo.storage import media as media_storage
from palpo.storage import media_usage as storage
from palpo.storage import profiles, rooms
from palpo.streams.turns import Turns

BATCH = 500
"""Rows that are read at once."""
_MXC = re.compile(r"mxc://[^/\s]{1,255}/[A-Za-z0-9_-]{1,255}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaOfRoom:
    """URIs that a room's events have."""

    local: list[MxcUri]
    remote: list[MxcUri]


class MediaAdministration:
    """What administrators do with more than one file."""

    def __init__(
        self,
        db: Database,
        heads: RoomHeads,
        overviews: Overviews,
        cleanup: MediaCleanup,
        quarantine: Quarantine,
        server_name: ServerName,
    ) -> None:
        self._db = db
        self._heads = heads
        self._overviews = overviews
        self._cleanup = cleanup
        self._quarantine = quarantine
        self._server_name = server_name

    async def find(self, server_name: str, media_id: str) -> MediaRecord:
        """A URI of this server's, or one that is here of another's; raises NotFound."""
        uri = parse_mxc_uri(f"mxc://{server_name}/{media_id}")
        found = await self._db.read(lambda tx: media_storage.find(tx, uri.server, uri.media_id))
        if found is None:
            raise NotFound(f"There is no {uri}")
        return found

    async def of_room(self, room_id: RoomId, *, most: int | None = None) -> MediaOfRoom:
        """What the room's unencrypted events have, the newest first; about ``most`` of it, if that is given.

        The pictures of its members are left out. Raises NotFound.
        """
        await self._heads.get(room_id)
        found: dict[MxcUri, None] = {}
        before, turns = (2**62, 2**62), Turns()
        limit = BATCH if most is None else min(BATCH, most)
        while most is None or len(found) < most:
            rows = await self._db.read(
                partial(storage.events_with_media, room_id=room_id, before=before, limit=limit)
            )
            for _, _, pdu in rows:
                await turns.breathe()
                found.update(dict.fromkeys(uris_in(orjson.loads(pdu).get("content"))))
            if len(rows) < limit:
                break
            before = rows[-1][0], rows[-1][1]
        return MediaOfRoom(
            local=[uri for uri in found if uri.server == self._server_name],
            remote=[uri for uri in found if uri.server != self._server_name],
        )

    async def quarantine_room(self, room_id: RoomId, by: str) -> int:
        """Withhold all of that; how many were not yet."""
        found = await self.of_room(room_id)
        return await self._quarantine.quarantine_all([*found.local, *found.remote], by)

    async def delete_old(self, *, before_ts: int, larger_than: int, keep_pictures: bool) -> list[str]:
        """Delete media of users here that nobody has asked for since ``before_ts``; their IDs.

        Times are milliseconds since the Unix epoch. ``keep_pictures`` leaves those of users and rooms.
        """
        kept = await self._pictures() if keep_pictures else set()
        deleted: list[str] = []
        after = ""
        while records := await self._db.read(
            partial(storage.old_local, before_ts=before_ts, larger_than=larger_than, after=after, limit=BATCH)
        ):
            for record in records:
                kept_too = f"mxc://{record.origin}/{record.media_id}" in kept
                if not kept_too and await self._delete(record):
                    deleted.append(record.media_id)
            after = records[-1].media_id
        return deleted

    async def purge_remote(self, *, before_ts: int) -> int:
        """Forget media of other servers that nobody has asked for since ``before_ts``; how many."""
        count, after = 0, ("", "")
        while records := await self._db.read(
            partial(storage.old_remote, before_ts=before_ts, after=after, limit=BATCH)
        ):
            for record in records:
                count += await self._delete(record)
            after = records[-1].origin, records[-1].media_id
        return count

    async def _delete(self, record: MediaRecord) -> bool:
        """Delete a file; whether it was still there: it may be deleted otherwise meanwhile."""
        try:
            await self._cleanup.delete(record.origin, record.media_id)
        except NotFound:
            return False
        return True

    async def _pictures(self) -> set[str]:
        """The URIs of pictures of users and rooms."""
        return {uri async for uri in self._of_profiles()} | {uri async for uri in self._of_rooms()}

    async def _of_profiles(self) -> AsyncIterator[str]:
        after, turns = "", Turns()
        while rows := await self._db.read(partial(profiles.after, user_id=after, limit=BATCH)):
            for _, fields in rows:
                await turns.breathe()
                uri = orjson.loads(fields).get("avatar_url")
                if isinstance(uri, str):
                    yield uri
            after = rows[-1][0]

    async def _of_rooms(self) -> AsyncIterator[str]:
        after = ""
        while roots := await self._db.read(partial(rooms.roots_after, room_id=after, limit=BATCH)):
            for overview in (await self._overviews.get_many(roots)).values():
                if overview.avatar_url is not None:
                    yield overview.avatar_url
            after = max(roots)


def uris_in(content: Any) -> Iterator[MxcUri]:
    """The URIs of files that an event's content has, and of their thumbnails."""
    if not isinstance(content, dict):
        return
    info = content.get("info")
    info = info if isinstance(info, dict) else {}
    for holder in (content, content.get("file"), info.get("thumbnail_file")):
        if isinstance(holder, dict):
            yield from _uri(holder.get("url"))
    yield from _uri(info.get("thumbnail_url"))


def _uri(value: Any) -> Iterator[MxcUri]:
    if isinstance(value, str) and _MXC.fullmatch(value) is not None:
        yield parse_mxc_uri(value)
