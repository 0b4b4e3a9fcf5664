"""Events that the server sends later, unless the client says otherwise (MSC4140).

Schedules are rows: a restart loses none, and what fell due meanwhile is sent first thing. Every process
may send what is due; a message event is sent under its delay ID as transaction, so that it is sent once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal

import structlog

from palpo.core.canonical_json import decode_object, to_json
from palpo.core.errors import (
    BadJson,
    BadRequest,
    Forbidden,
    InvalidParam,
    MatrixError,
    NotFound,
    TooLarge,
)
from palpo.core.identifiers import MAX_LENGTH
from palpo.db.engine import Commit, Database
from palpo.services.drafts import SendTransaction
from palpo.services.room_access import RoomAccess
from palpo.services.room_heads import RoomHeads
from palpo.services.room_state import RoomState
from palpo.services.sending import Sending
from palpo.services.sessions import Requester
from palpo.storage import accounts
from palpo.storage import delayed_events as storage
from palpo.storage.delayed_events import DelayedEvent
from palpo.streams.clock import Clock
from palpo.streams.wakeups import Wakeups

log = structlog.get_logger("palpo.delayed_events")

Action = Literal["cancel", "restart", "send"]
MAX_DELAY_MS = 24 * 60 * 60 * 1000
MAX_PER_USER = 100
MAX_CONTENT = 65_536
"""Bytes; an event can be no larger."""
KEEP_MS = 60 * 60 * 1000
"""How long a request is known again after its event was sent or cancelled."""
BATCH = 50
LONGEST_SLEEP_S = 30.0
RETRY_S = 1.0


class DelayedEvents:
    """Schedules events, and sends them when their time has come."""

    def __init__(
        self,
        db: Database,
        wakeups: Wakeups,
        clock: Clock,
        heads: RoomHeads,
        access: RoomAccess,
        sending: Sending,
        room_state: RoomState,
        *,
        random_id: Callable[[], str],
    ) -> None:
        self._db = db
        self._clock = clock
        self._heads = heads
        self._access = access
        self._sending = sending
        self._room_state = room_state
        self._random_id = random_id
        self._scheduled = asyncio.Event()
        wakeups.subscribe(self._on_commit)

    async def schedule(
        self,
        requester: Requester,
        room_id: str,
        type_: str,
        content: dict[str, Any],
        *,
        delay_ms: int,
        state_key: str | None = None,
        transaction_id: str | None = None,
    ) -> str:
        """Have an event sent in ``delay_ms`` milliseconds; its delay ID.

        Raises Forbidden, InvalidParam, TooLarge, BadJson; BadRequest for one too many, or too late.
        """
        request = _request_hash(requester, room_id, type_, transaction_id)
        if request is not None:
            known = await self._db.read(lambda tx: storage.by_request(tx, request))
            if known is not None:
                return known
        _check(type_, state_key, delay_ms)
        await self._access.require_member(room_id, requester.user_id)
        body = to_json(content)
        if len(body) > MAX_CONTENT:
            raise TooLarge("The event is too large")
        if await self._db.read(lambda tx: storage.count(tx, requester.user_id)) >= MAX_PER_USER:
            raise _refused("You have too many delayed events", "M_MAX_DELAYED_EVENTS_EXCEEDED")
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
            running_since_ts=now,
            send_ts=now + delay_ms,
            replaces=None if state_key is None else await self._current(room_id, type_, state_key),
            transaction_hash=request,
        )
        await self._db.write(lambda tx: storage.insert(tx, event))
        return event.delay_id

    async def of_user(self, user_id: str) -> list[DelayedEvent]:
        """What a user has scheduled."""
        return await self._db.read(lambda tx: storage.of_user(tx, user_id))

    async def act(self, delay_id: str, action: Action) -> None:
        """Cancel one, start its time anew, or send it now; raises NotFound, and why it cannot be sent."""
        if len(delay_id) > MAX_LENGTH or "\0" in delay_id:
            raise NotFound("Delayed event not found")
        now = self._clock.now_ms()
        if action == "restart":
            done = await self._db.write(lambda tx: storage.restart(tx, delay_id, now))
        elif action == "cancel":
            done = await self._db.write(lambda tx: storage.finish(tx, delay_id, now))
        else:
            event = await self._db.read(lambda tx: storage.get(tx, delay_id))
            done = event is not None
            if event is not None:
                await self._send(event)
        if not done:
            raise NotFound("Delayed event not found")

    async def run(self) -> None:
        """Send what falls due, until cancelled."""
        while True:
            self._scheduled.clear()
            try:
                clear = await self.send_due()
                sleep = await self._sleep_s(0.0 if clear else RETRY_S)
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
            sent = [await self._try_to_send(event) for event in due]
            clear = all(sent)
            more = len(due) == BATCH and clear
        await self._db.write(lambda tx: storage.sweep(tx, now - KEEP_MS))
        return clear

    async def _try_to_send(self, event: DelayedEvent) -> bool:
        """Send one if it still may be sent; False where it is to be tried again."""
        try:
            await self._send(event)
        except MatrixError as error:
            log.info("delayed_event_refused", room_id=event.room_id, reason=error.message)
            return error.status < 500
        return True

    async def _sleep_s(self, overdue_s: float) -> float:
        """Seconds until the next one's time comes; ``overdue_s`` where that has been."""
        due = await self._db.read(storage.next_ts)
        if due is None:
            return LONGEST_SLEEP_S
        wait_s = (due - self._clock.now_ms()) / 1000
        return min(wait_s, LONGEST_SLEEP_S) if wait_s > 0 else overdue_s

    async def _send(self, event: DelayedEvent) -> None:
        """Send one, whose turn comes once: afterwards, or where it is refused, it is done with."""
        try:
            await self._write(event)
        except MatrixError as error:
            if error.status < 500:
                await self._finish(event)
            raise
        await self._finish(event)

    async def _write(self, event: DelayedEvent) -> None:
        account = await self._db.read(lambda tx: accounts.find(tx, event.user_id))
        if account is not None and account.suspended:
            raise Forbidden("The account has been suspended since", errcode="M_USER_SUSPENDED")
        requester = Requester(user_id=event.user_id, device_id=event.device_id)
        content = decode_object(event.content)
        if event.state_key is None:
            await self._sending.send(
                requester, event.room_id, event.type, content, transaction_id=event.delay_id
            )
        elif not await self._is_overtaken(event, event.state_key):
            await self._room_state.put(requester, event.room_id, (event.type, event.state_key), content)

    async def _is_overtaken(self, event: DelayedEvent, state_key: str) -> bool:
        """Whether somebody else has set the same state since it was scheduled."""
        head = await self._heads.get(event.room_id)
        key = (event.type, state_key)
        current = (await self._heads.state(head, [key])).get(key)
        return current is not None and current.event_id != event.replaces and current.sender != event.user_id

    async def _current(self, room_id: str, type_: str, state_key: str) -> str | None:
        head = await self._heads.get(room_id)
        key = (type_, state_key)
        current = (await self._heads.state(head, [key])).get(key)
        return None if current is None else current.event_id

    async def _finish(self, event: DelayedEvent) -> None:
        now = self._clock.now_ms()
        await self._db.write(lambda tx: storage.finish(tx, event.delay_id, now))

    def _on_commit(self, commit: Commit) -> None:
        if storage.TOPIC in commit.topics:
            self._scheduled.set()


def _request_hash(requester: Requester, room_id: str, type_: str, transaction_id: str | None) -> bytes | None:
    if transaction_id is None:
        return None
    return SendTransaction(
        user_id=requester.user_id,
        device_id=requester.device_id,
        scope=f"{room_id}/delayed/{type_}",
        transaction_id=transaction_id,
    ).hash


def _check(type_: str, state_key: str | None, delay_ms: int) -> None:
    for text in (type_, state_key or ""):
        if "\0" in text:
            raise BadJson("An event's type and state key may not contain NUL")
        if len(text.encode("utf-8", "replace")) > MAX_LENGTH:
            raise TooLarge("An event's type and state key have at most 255 bytes")
    if delay_ms < 1:
        raise InvalidParam("The delay is a number of milliseconds above 0")
    if delay_ms > MAX_DELAY_MS:
        raise _refused(
            "The delay is too long", "M_MAX_DELAY_EXCEEDED", **{"org.matrix.msc4140.max_delay": MAX_DELAY_MS}
        )


def _refused(message: str, errcode: str, **fields: Any) -> BadRequest:
    return BadRequest(message, fields={"org.matrix.msc4140.errcode": errcode, **fields})
