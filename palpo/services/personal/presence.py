"""Who is there (spec: client-server API, "Presence").

Sync-facing:

- ``await syncing(requester, set_presence, timeout_ms)`` at the start of each sync: mostly memory,
- ``await changed(user_id, after, upto)`` → the presence of those who share a room with the user, where it
  changed at a position in ``(after, upto]``; with ``after`` 0, of all who are not offline. It costs a look
  into memory where nothing has changed,
- ``await of(user_ids)`` → the presence of users who have come into sight,
- ``event(presence)`` → the ``m.presence`` event's bytes.

``note_active(user_id, device_id)`` tells of activity, such as an event sent.

Each process knows the devices that sync with it; the table holds what others were told. Who is offline is
forgotten by the next look.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field

import msgspec

from palpo.config.sections.clients import PresenceConfig
from palpo.core.bounded_text import check_text
from palpo.core.canonical_json import to_json
from palpo.core.errors import Forbidden, InvalidParam, NotFound
from palpo.core.identifiers import ServerName, UserId, server_name_of
from palpo.db.engine import Database
from palpo.db.errors import DatabaseError
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.services.accounts.profiles import Profile
from palpo.services.accounts.sessions import Requester
from palpo.storage import accounts, memberships, profiles, shared_rooms
from palpo.storage import presence as storage
from palpo.storage.presence import Presence
from palpo.streams import topics
from palpo.streams.caches import CacheBudget
from palpo.streams.clock import Clock
from palpo.streams.last_changes import LastChanges
from palpo.streams.turns import Turns
from palpo.streams.wakeups import Wakeups

ONLINE, UNAVAILABLE, OFFLINE = "online", "unavailable", "offline"
STATES = (ONLINE, UNAVAILABLE, OFFLINE)
"""The more present first."""
MAX_STATUS = 4096
"""Bytes of a status message."""
MAX_SYNC_MS = 600_000
LOOK_SECONDS = 2.0
MAX_CHANGES = 10_000
"""Changes by anybody up to which they are gone through, rather than those who share a room."""
MAX_RESTORED = 100_000


@dataclass(slots=True)
class _Device:
    """What a device wants to be shown as, until when (milliseconds since the Unix epoch)."""

    wanted: str
    until_ms: int


@dataclass(slots=True)
class _User:
    """What this process knows of a user; ``told`` is None when others may have been told otherwise."""

    devices: dict[str, _Device] = field(default_factory=dict)
    last_active_ts: int = 0
    status_msg: str | None = None
    told: Presence | None = None


class PresenceTracker:
    """Knows who is online."""

    def __init__(
        self,
        db: Database,
        wakeups: Wakeups,
        clock: Clock,
        config: PresenceConfig,
        caches: CacheBudget,
        *,
        server_name: ServerName,
        max_changes: int = MAX_CHANGES,
        turns: Callable[[], Turns] = Turns,
    ) -> None:
        self._db = db
        self._max_changes = max_changes
        self._turns = turns
        self._clock = clock
        self.enabled = config.enabled
        self._idle_ms = int(config.idle_seconds * 1000)
        self._offline_ms = int(config.offline_seconds * 1000)
        self._server_name = server_name
        self._users: dict[str, _User] = {}
        self._last = LastChanges(wakeups, topics.PRESENCE, caches)
        wakeups.listen(topics.PRESENCE, self._changed_elsewhere)

    async def syncing(self, requester: Requester, set_presence: str | None, timeout_ms: int) -> None:
        """``touch``, for whoever syncs; who is shadow-banned is not shown to be there."""
        if not requester.shadow_banned:
            await self.touch(requester.user_id, requester.device_id, set_presence, timeout_ms)

    async def touch(
        self, user_id: UserId, device_id: str | None, set_presence: str | None, timeout_ms: int = 0
    ) -> None:
        """A device syncs, for at most ``timeout_ms``, and wants to be shown so; None is ``online``."""
        wanted = set_presence or ONLINE
        if not self.enabled or wanted == OFFLINE:
            return
        now = self._clock.now_ms()
        user = await self._user(user_id)
        if self._state(user, now) == OFFLINE:
            user.last_active_ts = now
        lasting = min(max(timeout_ms, 0), MAX_SYNC_MS) + self._offline_ms
        user.devices[device_id or ""] = _Device(wanted, now + lasting)
        await self._tell(user_id, user)

    async def set(
        self, user_id: UserId, device_id: str | None, presence: str, status_msg: str | None
    ) -> None:
        """What a client says outright; raises InvalidParam."""
        if presence not in STATES:
            raise InvalidParam("presence is online, unavailable or offline")
        if status_msg is not None:
            check_text(status_msg, "status_msg", max_bytes=MAX_STATUS)
        if not self.enabled:
            return
        now = self._clock.now_ms()
        user = await self._user(user_id)
        user.status_msg = status_msg
        user.last_active_ts = now
        if presence == OFFLINE:
            user.devices.pop(device_id or "", None)
        else:
            user.devices[device_id or ""] = _Device(presence, now + self._idle_ms)
        await self._tell(user_id, user)

    def note_active(self, user_id: UserId, device_id: str | None) -> None:
        """The user did something; others are told in a moment, where that changes anything."""
        user = self._users.get(user_id)
        if user is None:
            return
        user.last_active_ts = self._clock.now_ms()
        device = user.devices.get(device_id or "")
        if device is not None:
            device.wanted = ONLINE

    async def get(self, user_id: UserId, *, asker: UserId) -> Presence:
        """A user's presence; raises NotFound, and Forbidden to those who share no room with them."""
        local = server_name_of(user_id) == self._server_name
        if local and await self._db.read(lambda tx: accounts.find(tx, user_id)) is None:
            raise NotFound("There is no such user")
        if user_id != asker and not await self._db.read(
            lambda tx: shared_rooms.sharing(tx, asker, [user_id])
        ):
            raise Forbidden("You are not allowed to see their presence")
        found = await self.of([user_id])
        return found[0] if found else Presence(user_id=user_id, presence=OFFLINE)

    async def of(self, user_ids: Sequence[str]) -> list[Presence]:
        """The presence of those of ``user_ids`` who have any, whoever asks."""
        if not self.enabled or not user_ids:
            return []
        return [self._fresh(row) for row in await self._db.read(lambda tx: storage.get(tx, user_ids))]

    async def changed(self, user_id: UserId, after: int, upto: int) -> list[Presence]:
        """What the user is to be told of; see the module's docstring."""
        if not self.enabled or (after and not self._last.any_since(after, upto)):
            return []
        if not after:
            return await self._of_known(user_id, after)
        rows = await self._db.read(lambda tx: storage.changed(tx, after, upto, self._max_changes))
        if len(rows) == self._max_changes:
            known = await self._of_known(user_id, after)
            return [row for row in known if after < row.position <= upto]
        others = [row.user_id for row in rows if row.user_id != user_id]
        sharing = (
            await self._db.read(lambda tx: shared_rooms.sharing(tx, user_id, others)) if others else set()
        )
        return [self._fresh(row) for row in rows if row.user_id in sharing or row.user_id == user_id]

    async def _of_known(self, user_id: UserId, after: int) -> list[Presence]:
        """The user's presence, and ``storage.of_sharers``."""

        async def unit(tx: Transaction) -> list[Presence]:
            found = await storage.of_sharers(tx, user_id, after)
            if all(row.user_id != user_id for row in found):
                found += await storage.get(tx, [user_id])
            return found

        return [self._fresh(row) for row in await self._db.read(unit)]

    def event(self, presence: Presence) -> bytes:
        """The ``m.presence`` event that a client is shown."""
        fields = {
            "presence": presence.presence,
            "last_active_ago": self.last_active_ago(presence),
            "status_msg": presence.status_msg,
            "currently_active": presence.currently_active if presence.presence == ONLINE else None,
            "displayname": presence.displayname,
            "avatar_url": presence.avatar_url,
        }
        content = {name: value for name, value in fields.items() if value is not None}
        return to_json({"type": "m.presence", "sender": presence.user_id, "content": content})

    def last_active_ago(self, presence: Presence) -> int | None:
        """Milliseconds since the user was last seen to do something."""
        if not presence.last_active_ts:
            return None
        return max(self._clock.now_ms() - presence.last_active_ts, 0)

    async def not_offline(self) -> list[Presence]:
        """Everyone who is there, of whatever server, as they were last told of."""
        return await self._db.read(lambda tx: storage.not_offline(tx, MAX_RESTORED)) if self.enabled else []

    async def receive(self, said: Sequence[Presence]) -> None:
        """Take what another server says of users of its own; of those who are in no room here, nothing."""
        if not self.enabled or not said:
            return

        async def unit(tx: WriteTransaction) -> None:
            # The positions come first: their lock keeps two changes of one user's presence apart.
            position = await tx.positions(len(said))
            known = {row.user_id: row for row in await storage.get(tx, [item.user_id for item in said])}
            for offset, item in enumerate(said):
                news = _differ(item, known.get(item.user_id))
                if news and await memberships.joined_rooms(tx, item.user_id):
                    await self._put(tx, item, position + offset)

        await self._db.write(unit)

    async def profile_changed(self, user_id: UserId, _key: str) -> None:
        """Tell everyone of a new display name or avatar (spec: "Events on Change of Profile Information")."""
        if not self.enabled:
            return

        async def unit(tx: WriteTransaction) -> None:
            # The position comes first: its lock keeps two changes of one user's presence apart.
            position = await tx.positions()
            for row in await storage.get(tx, [user_id]):
                if await self._named(tx, row) != row:
                    await self._put(tx, row, position)

        await self._db.write(unit)

    async def run(self) -> None:
        """Tell everyone as time makes users idle or offline, until cancelled."""
        if not self.enabled:
            return
        restored = False
        while True:
            with contextlib.suppress(DatabaseError):
                if not restored:
                    await self._restore()
                    restored = True
                await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Tell everyone whose presence is not what others were told, and forget who is offline."""
        now = self._clock.now_ms()
        turns = self._turns()
        for user_id in list(self._users):
            await turns.breathe()
            user = await self._user(user_id)
            expired = [name for name, device in user.devices.items() if device.until_ms <= now]
            for name in expired:
                del user.devices[name]
            await self._tell(user_id, user)
            if not user.devices:
                self._users.pop(user_id, None)

    async def _restore(self) -> None:
        """Give those who were there before this process started the time to come back."""
        until_ms = self._clock.now_ms() + self._offline_ms
        turns = self._turns()
        for row in await self._db.read(lambda tx: storage.not_offline(tx, MAX_RESTORED)):
            await turns.breathe()
            if server_name_of(row.user_id) == self._server_name and row.user_id not in self._users:
                self._users[row.user_id] = _User(
                    devices={"": _Device(row.presence, until_ms)},
                    last_active_ts=row.last_active_ts,
                    status_msg=row.status_msg,
                    told=row,
                )

    async def _user(self, user_id: str) -> _User:
        """The user, with what others were told read anew where that may have changed."""
        user = self._users.get(user_id)
        if user is not None and user.told is not None:
            return user
        rows = await self._db.read(lambda tx: storage.get(tx, [user_id]))
        told = rows[0] if rows else Presence(user_id=user_id, presence=OFFLINE)
        user = self._users.setdefault(user_id, _User())
        user.told = told
        user.status_msg = told.status_msg
        user.last_active_ts = max(user.last_active_ts, told.last_active_ts)
        return user

    def _state(self, user: _User, now: int) -> str:
        wanted = {device.wanted for device in user.devices.values() if device.until_ms > now}
        state = next((state for state in STATES if state in wanted), OFFLINE)
        if state == ONLINE and now - user.last_active_ts >= self._idle_ms:
            return UNAVAILABLE
        return state

    async def _tell(self, user_id: str, user: _User) -> None:
        """Store the user's presence if it is not what others were told."""
        now = self._clock.now_ms()
        state = self._state(user, now)
        # Somebody counts as active until they are idle: fewer changes to tell of.
        active = state == ONLINE
        told = user.told
        assert told is not None, "told is loaded by _user, and nothing was awaited since"
        same = (told.presence, told.status_msg, told.currently_active) == (state, user.status_msg, active)
        if same and (told.position or state == OFFLINE):
            return
        value = Presence(
            user_id=user_id,
            presence=state,
            status_msg=user.status_msg,
            last_active_ts=user.last_active_ts,
            currently_active=active,
        )
        stored = await self._db.write(lambda tx: self._put(tx, value))
        if user_id in self._users:
            self._users[user_id].told = stored

    async def _put(self, tx: WriteTransaction, value: Presence, position: int | None = None) -> Presence:
        """Store what others are to be told, with what a local user's profile says now."""
        named = await self._named(tx, value)
        placed = msgspec.structs.replace(named, position=position or await tx.positions())
        await storage.put(tx, placed)
        tx.notify(topics.ROOM, *await memberships.joined_rooms(tx, value.user_id))
        return placed

    async def _named(self, tx: WriteTransaction, value: Presence) -> Presence:
        if server_name_of(value.user_id) != self._server_name:
            return value
        profile = Profile.of(value.user_id, await profiles.get(tx, value.user_id))
        return msgspec.structs.replace(value, displayname=profile.displayname, avatar_url=profile.avatar_url)

    def _fresh(self, row: Presence) -> Presence:
        """``row``, with activity that this process has seen since."""
        user = self._users.get(row.user_id)
        if user is None or user.last_active_ts <= row.last_active_ts:
            return row
        return msgspec.structs.replace(row, last_active_ts=user.last_active_ts)

    def _changed_elsewhere(self, user_ids: Set[str] | None, position: int) -> None:
        # Another process may have told something else; what is our own is read again, once.
        for user_id in self._users if user_ids is None else user_ids:
            known = self._users.get(user_id)
            if known is not None:
                known.told = None


def _differ(said: Presence, known: Presence | None) -> bool:
    """Whether it is news: when somebody was last active is none by itself."""
    if known is None:
        return True
    return (said.presence, said.status_msg, said.currently_active) != (
        known.presence,
        known.status_msg,
        known.currently_active,
    )
