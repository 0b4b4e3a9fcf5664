"""Events that the server sends later, unless the client says otherwise (MSC4140).

Schedules are rows: a restart loses none, and what fell due meanwhile is sent first thing, in the order of
the times. An event is sent under its delay ID as transaction, so that it is sent once, whatever was killed
between its sending and the row's being final; and what becomes of it is decided under a lock, so that
one that was cancelled is not being sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal

import structlog

from palpo.core.canonical_json import decode_object, to_json
from palpo.core.errors import (
    BadJson,
    Conflict,
    Forbidden,
    InvalidParam,
    LimitExceeded,
    MatrixError,
    NotFound,
    TooLarge,
)
from palpo.core.event_format import MAX_OWNED_STATE_KEY
from palpo.core.identifiers import MAX_LENGTH, RoomId, UserId
from palpo.core.records.delayed_events import DelayedEvent
from palpo.db.errors import AWAY, BadValue, DatabaseError, UniqueViolation
from palpo.db.transaction import WriteTransaction
from palpo.services.accounts.sessions import Requester
from palpo.services.history.drafts import SendTransaction
from palpo.services.history.room_access import RoomAccess
from palpo.services.rooms.room_state import RoomState
from palpo.services.rooms.sending import Sending, check_ts
from palpo.services.server import Server
from palpo.storage import accounts
from palpo.storage import delayed_events as storage
from palpo.streams import topics
from palpo.streams.keyed_locks import KeyedLocks

log = structlog.get_logger("palpo.delayed_events")

Action = Literal["cancel", "restart", "send"]
Charge = Callable[[UserId], None]
"""``def charge(user_id)``."""


class Charges(tuple[Charge, ...]):
    """Who takes each event from its user's budget, and raises LimitExceeded."""

    __slots__ = ()


MAX_DELAY_MS = 24 * 60 * 60 * 1000
MAX_PER_USER = 100
MAX_CONTENT = 65_536
"""Bytes; an event can be no larger."""
KEEP_MS = 7 * 24 * 60 * 60 * 1000
KEEP_PER_USER = 1000
"""How long, and how many of them, final events can be looked up, and their requests are known again."""
BATCH = 50
LONGEST_SLEEP_S = 30.0
RETRY_S = 1.0


class DelayedEvents:
    """Schedules events, and sends them when their time has come."""

    def __init__(
        self,
        server: Server,
        access: RoomAccess,
        sending: Sending,
        room_state: RoomState,
        charges: Charges,
        *,
        keep_per_user: int = KEEP_PER_USER,
    ) -> None:
        self._db = server.db
        self._clock = server.clock
        self._access = access
        self._sending = sending
        self._room_state = room_state
        self._random_id = server.random_id
        self._keep_per_user = keep_per_user
        self._locks = KeyedLocks()
        self._charges = charges
        self._scheduled = asyncio.Event()
        server.wakeups.listen(topics.DELAYED_EVENTS, lambda keys, position: self._scheduled.set())

    async def schedule(
        self,
        requester: Requester,
        room_id: RoomId,
        type_: str,
        content: dict[str, Any],
        *,
        delay_ms: int,
        state_key: str | None = None,
        transaction_id: str | None = None,
        origin_server_ts: int | None = None,
    ) -> str:
        """Have an event sent in ``delay_ms`` milliseconds; its delay ID, the same for the same request.

        Raises Forbidden, also for too long a delay; InvalidParam, TooLarge, BadJson; LimitExceeded for
        one too many.
        """
        request = _request_hash(requester, room_id, type_, transaction_id)
        known = await self._by_request(request)
        if known is not None:
            return known
        _check(type_, state_key, delay_ms)
        check_ts(origin_server_ts)
        await self._access.require_member(room_id, requester.user_id)
        body = to_json(content)
        if len(body) > MAX_CONTENT:
            raise TooLarge("The event is too large")
        now = self._clock.now_ms()
        event = DelayedEvent(
            delay_id=self._random_id(),
            user_id=requester.user_id,
            device_id=requester.device_id,
            room_id=room_id,
            type=type_,
            state_key=state_key,
            content=body,
            delay_ms=delay_ms,
            scheduled_ts=now,
            send_ts=now + delay_ms,
            origin_server_ts=origin_server_ts,
            transaction_hash=request,
        )

        async def unit(tx: WriteTransaction) -> None:
            waiting, next_ts = await storage.count(tx, event.user_id)
            if waiting >= MAX_PER_USER:
                raise LimitExceeded(
                    "You have as many delayed events as you may have",
                    retry_after_ms=max(1, (next_ts or now) - now),
                )
            await storage.insert(tx, event)

        try:
            await self._db.write(unit)
        except UniqueViolation:
            known = await self._by_request(request)
            if known is None:
                raise
            return known
        return event.delay_id

    async def of_user(self, user_id: UserId) -> list[DelayedEvent]:
        """What a user has scheduled, in the order of the times."""
        return await self._db.read(lambda tx: storage.of_user(tx, user_id))

    async def one(self, delay_id: str, user_id: UserId | None) -> DelayedEvent:
        """One, waiting or final, that ``user_id`` scheduled, or anybody for None; raises NotFound."""
        if len(delay_id) > MAX_LENGTH:
            raise NotFound("Delayed event not found")
        event = await self._db.read(lambda tx: storage.get(tx, delay_id))
        if event is None or user_id not in (None, event.user_id):
            raise NotFound("Delayed event not found")
        return event

    async def act(self, delay_id: str, action: Action, user_id: UserId | None) -> None:
        """Cancel one of ``user_id``'s, or of anybody's for None, start its time anew, or send it now.

        Doing again what was done is fine. Raises NotFound, Conflict where it has come to another end, and
        why it cannot be sent: it waits on, then.
        """
        async with self._locks.hold(delay_id):
            event = await self.one(delay_id, user_id)
            if event.finished_ts is not None:
                if action != ("cancel" if event.event_id is None else "send"):
                    raise Conflict("The event has been sent or cancelled")
            elif action == "send":
                await self._finish(event, event_id=await self._send(event))
            elif action == "cancel":
                await self._finish(event)
            else:
                now = self._clock.now_ms()
                await self._db.write(lambda tx: storage.restart(tx, delay_id, now))

    async def run(self) -> None:
        """Send what falls due, until cancelled."""
        while True:
            self._scheduled.clear()
            try:
                clear = await self.send_due()
                sleep = await self._sleep_s(0.0 if clear else RETRY_S)
            except AWAY:  # The database's own condition is in the log.
                sleep = RETRY_S
            except Exception:
                log.exception("delayed_events_failed")
                sleep = RETRY_S
            try:
                async with asyncio.timeout(sleep):
                    await self._scheduled.wait()
            except TimeoutError:
                continue

    async def send_due(self) -> bool:
        """Send everything whose time has come; False where something of it is to be tried again."""
        now = self._clock.now_ms()
        more, clear = True, True
        while more:
            due = await self._db.read(lambda tx: storage.due(tx, now, BATCH))
            sent = [await self._settle(event.delay_id, now) for event in due]
            clear = all(sent)
            more = len(due) == BATCH and clear
        await self._db.write(lambda tx: storage.sweep(tx, now - KEEP_MS))
        return clear

    async def _settle(self, delay_id: str, now: int) -> bool:
        """Send one if it still waits and may be sent; False where it is to be tried again."""
        async with self._locks.hold(delay_id):
            event = await self._db.read(lambda tx: storage.get(tx, delay_id))
            if event is None or event.finished_ts is not None or event.send_ts > now:
                return True
            try:
                event_id = await self._send(event)
            except Exception as error:  # noqa: BLE001 - what one event does must not hold up the others
                return await self._failed(event, error)
            await self._finish(event, event_id=event_id)
        return True

    async def _failed(self, event: DelayedEvent, error: Exception) -> bool:
        """Note why an event is not sent; False where that may be otherwise in a moment."""
        if isinstance(error, DatabaseError) and not isinstance(error, BadValue):
            return False
        if not isinstance(error, MatrixError):
            log.error("delayed_event_failed", room_id=event.room_id, exc_info=error)
            error = MatrixError("The event cannot be sent")
        elif error.status >= 500:
            return False
        log.info("delayed_event_refused", room_id=event.room_id, reason=error.message)
        await self._finish(event, error=to_json(error.body()))
        return True

    async def _sleep_s(self, overdue_s: float) -> float:
        """Seconds until the next one's time comes; ``overdue_s`` where that has been."""
        due = await self._db.read(storage.next_ts)
        if due is None:
            return LONGEST_SLEEP_S
        wait_s = (due - self._clock.now_ms()) / 1000
        return min(wait_s, LONGEST_SLEEP_S) if wait_s > 0 else overdue_s

    async def _send(self, event: DelayedEvent) -> str:
        """Send one, as if its user did so now; the event's ID."""
        requester = await self._requester(event)
        if requester.rate_limited:
            for charge in self._charges:
                charge(event.user_id)
        content = decode_object(event.content)
        if event.state_key is None:
            sent = await self._sending.send(
                requester,
                event.room_id,
                event.type,
                content,
                transaction_id=event.delay_id,
                origin_server_ts=event.origin_server_ts,
                delay_id=event.delay_id,
            )
            return sent.event_id
        transaction = SendTransaction(
            user_id=event.user_id,
            device_id=event.device_id,
            scope=f"{event.room_id}/state",
            transaction_id=event.delay_id,
            delay_id=event.delay_id,
        )
        return await self._room_state.put(
            requester,
            event.room_id,
            (event.type, event.state_key),
            content,
            origin_server_ts=event.origin_server_ts,
            transaction=transaction,
        )

    async def _requester(self, event: DelayedEvent) -> Requester:
        """Who sends it, as a user: what administrators may do besides is written down as they ask for it."""
        account = await self._db.read(lambda tx: accounts.find(tx, event.user_id))
        if account is None:
            return Requester(user_id=event.user_id, device_id=event.device_id)
        if account.deactivated:
            raise Forbidden("The account has been deactivated")
        if account.locked:
            raise Forbidden("The account is locked", errcode="M_USER_LOCKED")
        if account.suspended and event.state_key is not None:
            raise Forbidden("The account is suspended", errcode="M_USER_SUSPENDED")
        return Requester(
            **{**account.flags(), "is_admin": False},
            user_id=event.user_id,
            device_id=event.device_id,
            appservice_id=account.appservice_id,
            rate_limited=account.appservice_id is None,
        )

    async def _finish(
        self, event: DelayedEvent, *, event_id: str | None = None, error: bytes | None = None
    ) -> None:
        now = self._clock.now_ms()

        async def unit(tx: WriteTransaction) -> None:
            await storage.finish(tx, event.delay_id, now, event_id=event_id, error=error)
            await storage.trim(tx, event.user_id, self._keep_per_user)

        await self._db.write(unit)

    async def _by_request(self, request: bytes | None) -> str | None:
        if request is None:
            return None
        return await self._db.read(lambda tx: storage.by_request(tx, request))


def _request_hash(
    requester: Requester, room_id: RoomId, type_: str, transaction_id: str | None
) -> bytes | None:
    if transaction_id is None:
        return None
    return SendTransaction(
        user_id=requester.user_id,
        device_id=requester.device_id,
        scope=f"{room_id}/delayed/{type_}",
        transaction_id=transaction_id,
    ).hash


def _check(type_: str, state_key: str | None, delay_ms: int) -> None:
    if not type_:
        raise BadJson("An event has a type")
    for text, limit in ((type_, MAX_LENGTH), (state_key or "", MAX_OWNED_STATE_KEY)):
        if "\0" in text:
            raise BadJson("An event's type and state key may not contain NUL")
        if len(text.encode("utf-8", "replace")) > limit:
            raise TooLarge(f"An event's type or state key has more than {limit} bytes")
    if delay_ms < 1:
        raise InvalidParam("The delay is a number of milliseconds above 0")
    if delay_ms > MAX_DELAY_MS:
        # The fields are for clients that know the proposal's earlier text.
        fields = {
            "org.matrix.msc4140.errcode": "M_MAX_DELAY_EXCEEDED",
            "org.matrix.msc4140.max_delay": MAX_DELAY_MS,
        }
        raise Forbidden("The delay is too long", fields=fields)
