"""GET /sync (spec: client-server API, "Syncing"): wait until there is something, collect it, assemble it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from palpo.db.topics import Topics
from palpo.services.accounts.sessions import Requester
from palpo.services.encryption import EncryptionServices
from palpo.services.encryption.device_lists import DeviceListChanges
from palpo.services.encryption.keys import KeyCounts
from palpo.services.encryption.to_device import Pending
from palpo.services.history.tokens import parse_sync_token, stream_token
from palpo.services.personal.account_data import event
from palpo.services.reading.client_events import ClientEvents
from palpo.services.reading.waiting import Waiting
from palpo.services.rooms.user_rooms import UserRooms
from palpo.services.server import Server
from palpo.storage.memberships import Membership
from palpo.streams import topics
from palpo.streams.fair_queue import FairQueue
from palpo.streams.turns import Turns
from palpo.sync import assemble
from palpo.sync.assemble import StateSection
from palpo.sync.each import each
from palpo.sync.extras import Data, RoomExtras, of_rooms
from palpo.sync.filters import SyncFilter
from palpo.sync.joined import JoinedRooms, Reader, RoomNews
from palpo.sync.left import LEFT, LeftRooms
from palpo.sync.sections import sections
from palpo.sync.window import Window
from palpo.wire.client import sync as wire

MAX_TIMEOUT_MS = 120_000
AT_ONCE, AT_ONCE_EACH = 6, 2
"""Syncs that tell everything, at a time, and those of one user …"""
MAX_WAITING, MAX_WAITING_EACH = 2000, 20
"""… and how many may wait for that."""

Memberships = Mapping[str, Membership]
"""By room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRequest:
    """What a client asks for."""

    since: str | None
    timeout_ms: int
    filter: SyncFilter
    full_state: bool = False
    section: StateSection = StateSection.BEFORE


@dataclass(slots=True, kw_only=True)
class News:
    """Everything that is new to one device."""

    position: int
    to_device: Pending
    joined: list[RoomNews] = field(default_factory=list)
    left: list[RoomNews] = field(default_factory=list)
    invited: list[Membership] = field(default_factory=list)
    knocked: list[Membership] = field(default_factory=list)
    account_data: list[bytes] = field(default_factory=list)
    presence: list[bytes] = field(default_factory=list)
    device_lists: DeviceListChanges | None = None
    keys: KeyCounts | None = None

    @property
    def empty(self) -> bool:
        """Whether a client may be kept waiting for more."""
        lists = self.device_lists
        return not (
            self.joined
            or self.left
            or self.invited
            or self.knocked
            or self.account_data
            or self.presence
            or self.to_device.events
            or (lists is not None and (lists.changed or lists.left))
        )


class SyncV3:
    """Answers /sync."""

    def __init__(
        self,
        server: Server,
        waiting: Waiting,
        user_rooms: UserRooms,
        joined: JoinedRooms,
        left: LeftRooms,
        extras: RoomExtras,
        client_events: ClientEvents,
        encryption: EncryptionServices,
    ) -> None:
        self._wakeups = server.wakeups
        self._history = server.stream_history
        self._waiting = waiting
        self._user_rooms = user_rooms
        self._joined = joined
        self._left = left
        self._extras = extras
        self._client_events = client_events
        self._to_device = encryption.to_device
        self._device_lists = encryption.device_lists
        self._keys = encryption.keys
        self._everything = FairQueue(
            "syncs", workers=AT_ONCE, each=AT_ONCE_EACH, waiting=MAX_WAITING, waiting_each=MAX_WAITING_EACH
        )
        """Those that tell everything at once hold all of it in memory."""

    async def sync(self, requester: Requester, request: SyncRequest) -> wire.SyncResponse:
        """What is new since ``request.since``, as soon as there is something or the time is up.

        Raises LimitExceeded where too many wait for their turn to be told everything.
        """
        since, to_device = await self._from(request)
        lost = since is not None and self._history.is_lost(since)
        if lost:
            # What the client knows of the time that was lost has to be replaced.
            request = replace(request, full_state=True)
        if since is not None and not request.full_state:
            return await self._when_news(requester, request, since, to_device, lost=lost)
        async with self._everything.turn():
            return await self._when_news(requester, request, since, to_device, lost=lost)

    async def _when_news(
        self, requester: Requester, request: SyncRequest, since: int | None, to_device: int, *, lost: bool
    ) -> wire.SyncResponse:
        if requester.device_id is not None and since is not None:
            await self._to_device.delete_up_to(requester.user_id, requester.device_id, to_device)
        deadline = time.monotonic() + min(request.timeout_ms, MAX_TIMEOUT_MS) / 1000
        while True:
            memberships = await self._user_rooms.get(requester.user_id)
            # Nothing is awaited in between: the memberships are those at the window's end.
            window = self._window(since)
            watched = _topics(requester.user_id, memberships)
            news = await self._collect(
                requester, request, window, watched, memberships, to_device, all_data=lost
            )
            at_once = since is None or request.full_state or not news.empty
            remaining = deadline - time.monotonic()
            if at_once or not await self._waiting.wait(
                requester, watched, after=window.upto, timeout_s=remaining
            ):
                return await self._respond(requester, request, news)

    async def _from(self, request: SyncRequest) -> tuple[int | None, int]:
        """The positions in ``since``; a client begins anew with one that is ahead of the stream."""
        if not request.since:
            return None, 0
        since, to_device = parse_sync_token(request.since)
        return (None, 0) if await self._history.is_ahead(since) else (since, to_device)

    def _window(self, since: int | None) -> Window:
        upto = self._wakeups.position
        if since is None:
            return Window(since=None, upto=upto, changed=None)
        return Window(since=min(since, upto), upto=upto, changed=self._wakeups.changed_since(since))

    async def _collect(
        self,
        requester: Requester,
        request: SyncRequest,
        window: Window,
        watched: Topics,
        memberships: Memberships,
        to_device: int,
        *,
        all_data: bool,
    ) -> News:
        pending = await self._pending(requester, window, to_device)
        news = News(position=window.upto, to_device=pending)
        if window.is_quiet(watched) and not request.full_state:
            return news
        reader = Reader(
            user_id=requester.user_id,
            device_id=requester.device_id,
            filter=request.filter,
            state_after=request.section is not StateSection.BEFORE,
            full_state=request.full_state,
            ignored=await self._extras.ignored(requester.user_id),
        )
        nothing = Window(since=None, upto=window.upto, changed=None)
        data = await self._extras.account_data(reader, nothing if all_data else window)
        await self._collect_rooms(reader, window, memberships, news, data)
        wanted = reader.filter.account_data
        news.account_data = [
            event(type_, content)
            for room_id, type_, content in data
            if room_id is None and (wanted is None or wanted(type_, reader.user_id))
        ]
        rooms = [room_id for room_id, row in memberships.items() if row.membership == "join"]
        news.presence = await self._extras.presence(reader, window, news.joined)
        if window.since is not None:
            news.device_lists = await self._device_lists.changes_for(
                requester.user_id, window.since, window.upto, rooms=window.rooms(rooms)
            )
        return news

    async def _pending(self, requester: Requester, window: Window, to_device: int) -> Pending:
        if requester.device_id is None:
            return Pending(events=[], position=window.upto)
        return await self._to_device.pending(requester.user_id, requester.device_id, to_device, window.upto)

    async def _collect_rooms(
        self, reader: Reader, window: Window, memberships: Memberships, news: News, data: Data
    ) -> None:
        joined = {
            room_id: row
            for room_id, row in memberships.items()
            if row.membership == "join" and reader.filter.wants_room(room_id)
        }
        chosen = dict.fromkeys(window.rooms(joined) if not reader.full_state else joined)
        chosen |= dict.fromkeys(of_rooms(data, joined))
        chosen |= dict.fromkeys(room_id for room_id in window.read_by(reader.user_id) if room_id in joined)
        if window.touches(topics.USER, reader.user_id):
            chosen |= dict.fromkeys(room_id for room_id, row in joined.items() if row.position > window.after)
            await self._collect_others(reader, window, await self._changed(reader, window, memberships), news)
            self._extras.add_account_data(reader, news.left, data)
        collected = await self._joined.collect(reader, window, [joined[room_id] for room_id in chosen])
        await self._extras.add(reader, window, collected, data)
        news.joined = [room for room in collected if window.initial or not room.empty]

    async def _changed(self, reader: Reader, window: Window, memberships: Memberships) -> list[Membership]:
        """Memberships that changed in the window: those of rooms forgotten since too, that were known."""
        if window.since is None:
            return [row for row in memberships.values() if row.position <= window.upto]
        return await self._user_rooms.changed(reader.user_id, after=window.since, upto=window.upto)

    async def _collect_others(
        self, reader: Reader, window: Window, changed: Iterable[Membership], news: News
    ) -> None:
        """Rooms that the user is not in: invites, knocks and rooms left."""
        leaving: list[Membership] = []
        turns = Turns()
        for row in changed:
            await turns.breathe()
            if not reader.filter.wants_room(row.room_id):
                continue
            if row.membership == "invite":
                if await self._extras.shows_invite(reader, row.sender):
                    news.invited.append(row)
            elif row.membership == "knock":
                news.knocked.append(row)
            elif window.initial and not reader.filter.include_leave:
                continue
            elif row.membership in LEFT and await self._left.is_news(window, row):
                leaving.append(row)
        news.left = await each(leaving, lambda row: self._left.collect(reader, window, row))

    async def _respond(self, requester: Requester, request: SyncRequest, news: News) -> wire.SyncResponse:
        rooms = None
        if news.joined or news.left or news.invited or news.knocked:
            rooms = await self._rooms(requester, request, news)
        keys = None
        if requester.device_id is not None:
            keys = await self._keys.counts(requester.user_id, requester.device_id)
        lists = news.device_lists
        return wire.SyncResponse(
            next_batch=stream_token(news.position, news.to_device.position),
            rooms=rooms,
            account_data=assemble.raw_events(news.account_data) if news.account_data else None,
            presence=assemble.raw_events(news.presence) if news.presence else None,
            to_device=wire.Events(events=news.to_device.events) if news.to_device.events else None,
            device_lists=wire.DeviceLists(changed=lists.changed, left=lists.left)
            if lists is not None and (lists.changed or lists.left)
            else None,
            device_one_time_keys_count=dict(keys.one_time_keys) if keys else None,
            device_unused_fallback_key_types=list(keys.unused_fallback) if keys else None,
            unstable_unused_fallback_key_types=list(keys.unused_fallback) if keys else None,
        )

    async def _rooms(self, requester: Requester, request: SyncRequest, news: News) -> wire.Rooms:
        rendered = await self._render(requester, request.filter, [*news.joined, *news.left])
        threads, section = request.filter.unread_threads, request.section
        return wire.Rooms(
            join=await sections(
                news.joined,
                _room_id,
                lambda room: assemble.joined_room(room, rendered, section=section, threads=threads),
            )
            or None,
            leave=await sections(
                news.left, _room_id, lambda room: assemble.left_room(room, rendered, section=section)
            )
            or None,
            invite=await sections(news.invited, _room_id, assemble.invited_room) or None,
            knock=await sections(news.knocked, _room_id, assemble.knocked_room) or None,
        )

    async def _render(
        self, requester: Requester, filter_: SyncFilter, rooms: Iterable[RoomNews]
    ) -> dict[str, bytes]:
        events = [item for room in rooms for item in (*room.timeline.events, *room.state)]
        made = await self._client_events.render(
            await self._client_events.exchanged(events) if filter_.federation_format else events,
            user_id=requester.user_id,
            device_id=requester.device_id,
            with_room_id=False,
        )
        return {item.event_id: form for item, form in zip(events, made, strict=True)}


def _room_id(room: RoomNews | Membership) -> str:
    return room.room_id


def _topics(user_id: str, memberships: Memberships) -> Topics:
    """What may end the waiting."""
    joined = {room_id for room_id, row in memberships.items() if row.membership == "join"}
    return {topics.ROOM: joined, topics.USER: {user_id}}
