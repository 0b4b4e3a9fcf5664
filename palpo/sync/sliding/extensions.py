"""What a response has beside rooms: MSC3884, MSC3885, MSC3959, MSC3960, MSC3961 and MSC4308."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from msgspec import Raw

from palpo.core.identifiers import UserId
from palpo.db.engine import Database
from palpo.db.transaction import Transaction
from palpo.services.accounts.sessions import Requester
from palpo.services.encryption.device_lists import DeviceLists
from palpo.services.encryption.keys import Keys
from palpo.services.encryption.to_device import Pending, ToDevice
from palpo.services.history.tokens import parse_to_device_token, stream_token
from palpo.services.personal.account_data import AccountData, Changed, event
from palpo.services.personal.receipts import Receipts
from palpo.services.personal.thread_subscriptions import ThreadSubscriptions
from palpo.services.personal.typing import Typing
from palpo.storage import events as events_storage
from palpo.streams import topics
from palpo.sync.sliding.changes import Due, Match
from palpo.sync.sliding.config import SlidingRequest
from palpo.sync.sliding.rooms import SlidingRoomNews
from palpo.sync.thread_subscriptions import changes
from palpo.sync.window import Window
from palpo.wire.client import sliding_sync as wire

ACCOUNT_DATA, RECEIPTS, TYPING, THREAD_SUBSCRIPTIONS = 1, 2, 4, 8
"""Bits of ``RoomSent.extensions``."""
EVERY = "*"
MAX_TO_DEVICE = 100
MAX_THREAD_SUBSCRIPTIONS = 100
MAX_TIMELINE_IDS = 20
"""Events whose receipts are sent of a room that the client has had without them."""


@dataclass(slots=True, kw_only=True)
class ExtensionNews:
    """What the extensions have to tell."""

    result: wire.ExtensionResults = field(default_factory=wire.ExtensionResults)
    urgent: bool = False
    """Whether a client need not be kept waiting for more."""


class Extensions:
    """Asks the services that know."""

    def __init__(
        self,
        db: Database,
        to_device: ToDevice,
        device_lists: DeviceLists,
        keys: Keys,
        account_data: AccountData,
        receipts: Receipts,
        typing: Typing,
        thread_subscriptions: ThreadSubscriptions,
    ) -> None:
        self._db = db
        self._to_device = to_device
        self._device_lists = device_lists
        self._keys = keys
        self._account_data = account_data
        self._receipts = receipts
        self._typing = typing
        self._thread_subscriptions = thread_subscriptions

    async def acknowledge(self, requester: Requester, request: SlidingRequest) -> None:
        """Delete the messages that the device has; raises InvalidParam for a bad ``since``."""
        config = request.extensions.to_device
        if config is not None and config.enabled and config.since and requester.device_id is not None:
            since = parse_to_device_token(config.since)
            await self._to_device.delete_up_to(requester.user_id, requester.device_id, since)

    async def collect(
        self,
        requester: Requester,
        request: SlidingRequest,
        window: Window,
        joined: Iterable[str],
        rooms: tuple[list[Due], Mapping[str, SlidingRoomNews]],
        *,
        known: int,
    ) -> ExtensionNews:
        """Everything that is new; ``rooms`` are those in reach, and the news of some of them.

        ``known`` are the bits of the extensions whose data that is not of rooms the client has.
        """
        followed, news = rooms
        to_device = await self.to_device(requester, request, window)
        e2ee = await self.e2ee(requester, request, window, joined)
        account_data = await self._account(
            requester, request, window, followed, known=bool(known & ACCOUNT_DATA)
        )
        receipts = await self._receipt_events(requester.user_id, window, followed, news)
        typing = await self._typing_events(window, followed)
        threads = await self._threads(requester, request, window, known=bool(known & THREAD_SUBSCRIPTIONS))
        urgent = bool(
            (to_device is not None and to_device.events)
            or (e2ee is not None and e2ee.device_lists is not None)
            or account_data
            or receipts
            or typing
            or threads
        )
        result = wire.ExtensionResults(
            to_device=to_device,
            e2ee=e2ee,
            account_data=account_data,
            receipts=_ephemeral(receipts),
            typing=_ephemeral(typing),
            thread_subscriptions=threads,
        )
        return ExtensionNews(result=result, urgent=urgent)

    async def quiet(self, requester: Requester, request: SlidingRequest, window: Window) -> ExtensionNews:
        """The same where nothing but messages to the device can be new."""
        to_device = await self.to_device(requester, request, window)
        e2ee = await self.e2ee(requester, request, window.anew, ())
        result = wire.ExtensionResults(to_device=to_device, e2ee=e2ee)
        return ExtensionNews(result=result, urgent=bool(to_device is not None and to_device.events))

    async def to_device(
        self, requester: Requester, request: SlidingRequest, window: Window
    ) -> wire.ToDeviceResult | None:
        """Messages that wait for the device (MSC3885)."""
        config = request.extensions.to_device
        if config is None or not config.enabled or requester.device_id is None:
            return None
        since = parse_to_device_token(config.since) if config.since else 0
        limit = MAX_TO_DEVICE if config.limit is None else min(config.limit, MAX_TO_DEVICE)
        if limit <= 0:
            return wire.ToDeviceResult(next_batch=stream_token(since))
        pending: Pending = await self._to_device.pending(
            requester.user_id, requester.device_id, since, max(window.upto, since), limit=limit
        )
        return wire.ToDeviceResult(next_batch=stream_token(pending.position), events=pending.events or None)

    async def e2ee(
        self, requester: Requester, request: SlidingRequest, window: Window, joined: Iterable[str]
    ) -> wire.E2eeResult | None:
        """Key counts always, for a response may be lost, and device lists that changed (MSC3884)."""
        config = request.extensions.e2ee
        if config is None or not config.enabled or requester.device_id is None:
            return None
        counts = await self._keys.counts(requester.user_id, requester.device_id)
        lists = None
        if window.since is not None:
            rooms = window.rooms(list(joined))
            changes = await self._device_lists.changes_for(
                requester.user_id, window.since, window.upto, rooms=rooms
            )
            if changes.changed or changes.left:
                lists = wire.DeviceLists(changed=changes.changed, left=changes.left)
        return wire.E2eeResult(
            device_one_time_keys_count=dict(counts.one_time_keys),
            device_unused_fallback_key_types=list(counts.unused_fallback),
            device_lists=lists,
        )

    async def _account(
        self,
        requester: Requester,
        request: SlidingRequest,
        window: Window,
        followed: list[Due],
        *,
        known: bool,
    ) -> wire.AccountDataResult | None:
        """Account data, of rooms and not (MSC3959); ``known`` if the client has the user's own."""
        config = request.extensions.account_data
        if config is None or not config.enabled:
            return None
        covered = [due for due in followed if due.extensions & ACCOUNT_DATA]
        own_since = window.after if known else 0
        own: list[Changed] = []
        of_rooms: dict[str, dict[str, bytes]] = {}
        for since, rooms in _by_since(covered, own_since).items():
            for item in await self._account_data.changed(requester.user_id, since, window.upto):
                room_id, type_, content = item
                if room_id is not None and room_id in rooms:
                    of_rooms.setdefault(room_id, {})[type_] = content
                elif room_id is None and since == own_since:
                    own.append(item)
        if not own and not of_rooms:
            return None
        return wire.AccountDataResult(
            global_=[Raw(event(type_, content)) for _, type_, content in own] or None,
            rooms={
                room_id: [Raw(event(type_, content)) for type_, content in by_type.items()]
                for room_id, by_type in of_rooms.items()
            }
            or None,
        )

    async def _threads(
        self, requester: Requester, request: SlidingRequest, window: Window, *, known: bool
    ) -> wire.ThreadSubscriptionsResult | None:
        """Which threads the user follows now, or does not any more (MSC4308)."""
        config = request.extensions.thread_subscriptions
        if config is None or not config.enabled:
            return None
        if known and not window.touches(topics.THREAD_SUBSCRIPTIONS, requester.user_id):
            return None
        limit = MAX_THREAD_SUBSCRIPTIONS if config.limit is None else config.limit
        limit = max(min(limit, MAX_THREAD_SUBSCRIPTIONS), 1)
        found = await self._thread_subscriptions.changed(
            requester.user_id, after=window.after if known else 0, upto=window.upto, limit=limit + 1
        )
        if not found:
            return None
        shown = changes(found[:limit])
        return wire.ThreadSubscriptionsResult(
            subscribed=shown.subscribed,
            unsubscribed=shown.unsubscribed,
            prev_batch=stream_token(found[limit].position) if len(found) > limit else None,
        )

    async def _receipt_events(
        self, user_id: UserId, window: Window, followed: list[Due], news: Mapping[str, SlidingRoomNews]
    ) -> dict[str, bytes]:
        """Receipts (MSC3960): of a room that is new, those for its timeline and the user's own."""
        covered = [due for due in followed if due.extensions & RECEIPTS]
        fresh = [due for due in covered if _is_fresh(due, RECEIPTS)]
        shown: dict[str, bytes] = {}
        if fresh:
            ids = await self._timeline_ids(fresh, news, window.upto)
            shown = await self._receipts.of_events(user_id, ids, window.upto)
        by_known: dict[int, list[str]] = {}
        for due in covered:
            if not _is_fresh(due, RECEIPTS):
                by_known.setdefault(due.known, []).append(due.room_id)
        for known, room_ids in by_known.items():
            shown |= await self._receipts.changed(user_id, room_ids, known, window.upto)
        return shown

    async def _timeline_ids(
        self, fresh: list[Due], news: Mapping[str, SlidingRoomNews], upto: int
    ) -> dict[str, list[str]]:
        """The events of each room that the client has."""
        ids: dict[str, list[str]] = {}
        missing: list[Due] = []
        for due in fresh:
            found = news.get(due.room_id)
            if found is not None and found.timeline is not None:
                ids[due.room_id] = [item.event_id for item in found.timeline.events]
            else:
                missing.append(due)

        async def unit(tx: Transaction) -> None:
            for due in missing:
                limit = min(due.match.config.limit, MAX_TIMELINE_IDS)
                ids[due.room_id] = await events_storage.latest_ids(
                    tx, due.room_id, after=0, upto=upto, limit=limit
                )

        if missing:
            await self._db.read(unit)
        return ids

    async def _typing_events(self, window: Window, followed: list[Due]) -> dict[str, bytes]:
        """Who is typing (MSC3961): of a room that is new only if anybody is."""
        covered = [due for due in followed if due.extensions & TYPING]
        fresh = [due.room_id for due in covered if _is_fresh(due, TYPING) or due.known < window.after]
        known = [due.room_id for due in covered if not (_is_fresh(due, TYPING) or due.known < window.after)]
        return await self._typing.events(known, fresh, window.after, window.upto)


def of_connection(request: SlidingRequest) -> int:
    """The bits of the extensions that have something which is not of rooms."""
    given = request.extensions
    configs = ((ACCOUNT_DATA, given.account_data), (THREAD_SUBSCRIPTIONS, given.thread_subscriptions))
    return sum(bit for bit, config in configs if config is not None and config.enabled)


class Coverage:
    """Which extensions of a request cover which rooms."""

    def __init__(self, request: SlidingRequest) -> None:
        given = request.extensions
        configs = ((ACCOUNT_DATA, given.account_data), (RECEIPTS, given.receipts), (TYPING, given.typing))
        self._configs = [(bit, config) for bit, config in configs if config is not None and config.enabled]
        self._by_room = any(config.rooms for _, config in self._configs)
        self._known: dict[int, tuple[Match, int]] = {}

    def bits(self, room_id: str, match: Match) -> int:
        """The bits of the extensions that cover a room."""
        known = None if self._by_room else self._known.get(id(match))
        if known is None:
            bits = sum(bit for bit, config in self._configs if _covers(config, room_id, match))
            known = self._known[id(match)] = match, bits
        return known[1]


def _covers(config: wire.RoomsExtension, room_id: str, match: Match) -> bool:
    """Whether an extension is about a room: by default about all those in the response's reach."""
    lists, rooms = config.lists, config.rooms
    if rooms is not None and room_id in rooms:
        return True
    if match.subscribed and (rooms is None or EVERY in rooms):
        return True
    return bool(match.lists) and (lists is None or EVERY in lists or not set(lists).isdisjoint(match.lists))


def _by_since(covered: list[Due], own_since: int) -> dict[int, set[str]]:
    """Rooms by the position after which their account data is wanted.

    Those that the client knows up to some earlier position share the earliest, lest each be asked about.
    """
    groups: dict[int, set[str]] = {own_since: set()}
    behind = [due.known for due in covered if not _is_fresh(due, ACCOUNT_DATA) and due.known < own_since]
    for due in covered:
        since = 0 if _is_fresh(due, ACCOUNT_DATA) else due.known
        groups.setdefault(min(behind) if 0 < since < own_since else since, set()).add(due.room_id)
    return groups


def _is_fresh(due: Due, bit: int) -> bool:
    """Whether the extension has not been sent for the room so far."""
    return due.initial or due.sent is None or not due.sent.extensions & bit


def _ephemeral(events: dict[str, bytes]) -> wire.EphemeralResult | None:
    if not events:
        return None
    return wire.EphemeralResult(rooms={room_id: Raw(shown) for room_id, shown in events.items()})
