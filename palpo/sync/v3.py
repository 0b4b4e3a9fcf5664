"""GET /sync (spec: client-server API, "Syncing"): wait until there is something, collect it, assemble it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from palpo.core.membership import INVITE, JOIN, KNOCK
from palpo.services.accounts.sessions import Requester
from palpo.services.encryption import EncryptionServices
from palpo.services.encryption.device_lists import DeviceListChanges
from palpo.services.encryption.keys import KeyCounts
from palpo.services.encryption.to_device import Pending
from palpo.services.history.tokens import stream_token
from palpo.services.personal.account_data import event
from palpo.services.personal.invite_permissions import InvitePermissions
from palpo.services.reading.client_events import ClientEvents
from palpo.services.rooms.user_rooms import UserRooms
from palpo.storage.memberships import Member
from palpo.streams import topics
from palpo.streams.large_answers import whole_syncs
from palpo.streams.turns import Turns
from palpo.sync import assemble
from palpo.sync.assemble import StateSection
from palpo.sync.each import each
from palpo.sync.extras import Data, RoomExtras, of_rooms
from palpo.sync.feed import Feed, Look, Memberships, Start, deadline, followed, joined
from palpo.sync.filters import SyncFilter
from palpo.sync.joined import JoinedRooms, Reader, V3RoomNews
from palpo.sync.left import LeftRooms
from palpo.sync.room_news import render
from palpo.sync.sections import sections
from palpo.sync.summary import GONE
from palpo.sync.window import Window
from palpo.wire.client import sync as wire


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRequest:
    """What a client asks for."""

    since: str | None
    timeout_ms: int
    filter: SyncFilter
    full_state: bool = False
    section: StateSection = StateSection.BEFORE


@dataclass(slots=True, kw_only=True)
class News(Look):
    """Everything that is new to one device."""

    to_device: Pending
    joined: list[V3RoomNews] = field(default_factory=list)
    left: list[V3RoomNews] = field(default_factory=list)
    invited: list[Member] = field(default_factory=list)
    knocked: list[Member] = field(default_factory=list)
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
        feed: Feed,
        user_rooms: UserRooms,
        invite_permissions: InvitePermissions,
        joined: JoinedRooms,
        left: LeftRooms,
        extras: RoomExtras,
        client_events: ClientEvents,
        encryption: EncryptionServices,
    ) -> None:
        self._feed = feed
        self._user_rooms = user_rooms
        self._invite_permissions = invite_permissions
        self._joined = joined
        self._left = left
        self._extras = extras
        self._client_events = client_events
        self._to_device = encryption.to_device
        self._device_lists = encryption.device_lists
        self._keys = encryption.keys
        self._whole = whole_syncs()

    async def sync(self, requester: Requester, request: SyncRequest) -> wire.SyncResponse:
        """What is new since ``request.since``, as soon as there is something or the time is up.

        Raises LimitExceeded where too many wait for their turn to be told everything.
        """
        start = await self._feed.start(request.since)
        if start.lost:
            # What the client knows of the time that was lost has to be replaced.
            request = replace(request, full_state=True)
        if start.since is not None and not request.full_state:
            return await self._when_news(requester, request, start)
        async with self._whole.turn():
            return await self._when_news(requester, replace(request, timeout_ms=0), start)

    async def _when_news(self, requester: Requester, request: SyncRequest, start: Start) -> wire.SyncResponse:
        if requester.device_id is not None and start.since is not None:
            await self._to_device.delete_up_to(requester.user_id, requester.device_id, start.to_device)
        news = await self._feed.follow(
            requester, deadline(request.timeout_ms), lambda: self._look(requester, request, start)
        )
        return await self._respond(requester, request, news)

    async def _look(self, requester: Requester, request: SyncRequest, start: Start) -> News:
        memberships = await self._user_rooms.get(requester.user_id)
        # Nothing is awaited in between: the memberships are those at the window's end.
        window = self._feed.window(start.since)
        pending = await self._pending(requester, window, start.to_device)
        news = News(window=window, followed=followed(requester.user_id, memberships), to_device=pending)
        if not window.is_quiet(news.followed) or request.full_state:
            await self._collect(requester, request, news, memberships, all_data=start.lost)
        return news

    async def _collect(
        self,
        requester: Requester,
        request: SyncRequest,
        news: News,
        memberships: Memberships,
        *,
        all_data: bool,
    ) -> None:
        window = news.window
        reader = Reader(
            user_id=requester.user_id,
            client=(requester.user_id, requester.device_id),
            filter=request.filter,
            state_after=request.section is not StateSection.BEFORE,
            full_state=request.full_state,
            ignored=await self._extras.ignored(requester.user_id),
        )
        data = await self._extras.account_data(reader, window.anew if all_data else window)
        await self._collect_rooms(reader, window, memberships, news, data)
        wanted = reader.filter.account_data
        news.account_data = [
            event(type_, content)
            for room_id, type_, content in data
            if room_id is None and (wanted is None or wanted(type_, reader.user_id))
        ]
        news.presence = await self._extras.presence(reader, window, news.joined)
        if window.since is not None:
            news.device_lists = await self._device_lists.changes_for(
                requester.user_id, window.since, window.upto, rooms=window.rooms(joined(memberships))
            )

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
            if row.membership is JOIN and reader.filter.wants_room(room_id)
        }
        chosen = dict.fromkeys(window.rooms(joined) if not reader.full_state else joined)
        chosen |= dict.fromkeys(of_rooms(data, joined))
        chosen |= dict.fromkeys(room_id for room_id in window.read_by(reader.user_id) if room_id in joined)
        if window.touches(topics.USER, reader.user_id):
            chosen |= dict.fromkeys(room_id for room_id, row in joined.items() if row.position > window.after)
            await self._collect_others(reader, window, await self._changed(reader, window, memberships), news)
            self._extras.add_account_data(reader, news.left, data)
        shown = await self._joined.shown(reader, window, [joined[room_id] for room_id in chosen])
        collected = await self._joined.collect(reader, window, shown)
        await self._extras.add(reader, window, collected, data)
        news.joined = [room for room in collected if window.initial or not room.empty]

    async def _changed(self, reader: Reader, window: Window, memberships: Memberships) -> list[Member]:
        """Memberships that changed in the window: those of rooms forgotten since too, that were known."""
        if window.since is None:
            return [row for row in memberships.values() if row.position <= window.upto]
        return await self._user_rooms.changed(reader.user_id, after=window.since, upto=window.upto)

    async def _collect_others(
        self, reader: Reader, window: Window, changed: Iterable[Member], news: News
    ) -> None:
        """Rooms that the user is not in: invites, knocks and rooms left."""
        leaving: list[Member] = []
        turns = Turns()
        for row in changed:
            await turns.breathe()
            if not reader.filter.wants_room(row.room_id):
                continue
            if row.membership is INVITE:
                if await self._invite_permissions.shows(row.user_id, row.sender):
                    news.invited.append(row)
            elif row.membership is KNOCK:
                news.knocked.append(row)
            elif row.membership in GONE and await self._left.is_news(reader, window, row):
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
            next_batch=stream_token(news.window.upto, news.to_device.position),
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
        filter_, section = request.filter, request.section
        rendered = await render(
            self._client_events, requester, [*news.joined, *news.left], federation=filter_.federation_format
        )
        return wire.Rooms(
            join=await sections(
                news.joined,
                _room_id,
                lambda room: assemble.joined_room(
                    room, rendered, section=section, threads=filter_.unread_threads
                ),
            )
            or None,
            leave=await sections(
                news.left, _room_id, lambda room: assemble.left_room(room, rendered, section=section)
            )
            or None,
            invite=await sections(news.invited, _room_id, assemble.invited_room) or None,
            knock=await sections(news.knocked, _room_id, assemble.knocked_room) or None,
        )


def _room_id(room: V3RoomNews | Member) -> str:
    return room.room_id
