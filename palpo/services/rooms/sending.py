"""Message events and redactions, as clients send them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from palpo.core.errors import BadJson, BadRequest, Forbidden, InvalidParam, MatrixError, NotFound
from palpo.core.identifiers import EventId, RoomId, parse_event_id, server_name_of
from palpo.core.state_keys import GUEST_ACCESS
from palpo.db.engine import Database
from palpo.services.accounts.sessions import Requester
from palpo.services.history.drafts import Draft, Guard, SendTransaction
from palpo.services.history.event_store import EventStore
from palpo.services.history.room_heads import RoomHead, RoomHeads
from palpo.services.history.room_writer import RoomWriter
from palpo.services.rooms.memberships import Memberships
from palpo.services.rooms.shadow_bans import unseen
from palpo.storage import relations as relations_storage
from palpo.storage.relations import THREAD
from palpo.streams.keyed_locks import KeyedLocks

REDACTION = "m.room.redaction"
ANNOTATION = "m.annotation"
MAX_TRANSACTION_ID = 255
MAX_TS = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Sent:
    """An event that was made."""

    event_id: str
    by_right: bool = False
    """It would have been refused, were its sender no administrator of this server."""


class Sending:
    """Sends events once for every transaction ID of a device."""

    def __init__(
        self,
        db: Database,
        store: EventStore,
        heads: RoomHeads,
        writer: RoomWriter,
        memberships: Memberships,
    ) -> None:
        self._db = db
        self._store = store
        self._heads = heads
        self._writer = writer
        self._memberships = memberships
        self._annotations = KeyedLocks()

    async def send(
        self,
        requester: Requester,
        room_id: RoomId,
        event_type: str,
        content: dict[str, Any],
        *,
        transaction_id: str,
        origin_server_ts: int | None = None,
        delay_id: str | None = None,
    ) -> Sent:
        """Send a message event. ``delay_id`` is that of a delayed event whose time has come.

        Raises NotFound, AuthError, BadJson, InvalidParam, TooLarge; BadRequest for a thread off an event
        that relates to another, and with M_DUPLICATE_ANNOTATION for a reaction that is there already.
        """
        if not event_type:
            raise BadJson("An event has a type")
        check_ts(origin_server_ts)
        transaction = _transaction(requester, f"{room_id}/send/{event_type}", transaction_id, delay_id)
        if requester.shadow_banned:
            return Sent(await unseen(self._heads, requester, room_id, transaction.hash))
        if event_type == REDACTION and "redacts" in content:
            target = content["redacts"]
            rest = {name: value for name, value in content.items() if name != "redacts"}
            return await self._redact(requester, room_id, target, rest, transaction, origin_server_ts)
        requester.refuse_suspended()
        draft = Draft(
            type=event_type,
            sender=requester.user_id,
            content=content,
            origin_server_ts=origin_server_ts,
        )
        rel_type, target = _relation(content)
        key = _annotation_key(content)
        if rel_type == THREAD:
            return await self._once(room_id, draft, transaction, lambda head: self._check_thread(target))
        if rel_type == ANNOTATION and key is not None:
            # Neither of two that are sent at once is there yet when the other is looked for.
            async with self._annotations.hold((draft.sender, draft.type, target, key)):
                return await self._once(
                    room_id, draft, transaction, lambda head: self._check_annotation(head, draft, target, key)
                )
        referred = _relation(content, "m.relationship")[1]
        if referred:
            return await self._once(
                room_id, draft, transaction, lambda head: self._check_here(head, referred)
            )
        return await self._once(room_id, draft, transaction, None)

    async def redact(
        self,
        requester: Requester,
        room_id: RoomId,
        event_id: EventId,
        content: dict[str, Any],
        *,
        transaction_id: str,
    ) -> Sent:
        """Redact an event. Raises NotFound, Forbidden, BadJson, InvalidParam."""
        transaction = _transaction(requester, f"{room_id}/redact/{event_id}", transaction_id)
        if requester.shadow_banned:
            return Sent(await unseen(self._heads, requester, room_id, transaction.hash))
        return await self._redact(requester, room_id, event_id, content, transaction)

    async def _redact(
        self,
        requester: Requester,
        room_id: RoomId,
        target: object,
        content: dict[str, Any],
        transaction: SendTransaction,
        origin_server_ts: int | None = None,
    ) -> Sent:
        if not isinstance(target, str):
            raise BadJson("What a redaction redacts is an event ID")
        event_id = parse_event_id(target)
        by_right = False

        async def may_redact(head: RoomHead) -> None:
            nonlocal by_right
            by_right = await self._needs_right(head, requester, event_id)

        draft = Draft(
            type=REDACTION,
            sender=requester.user_id,
            content=content,
            redacts=event_id,
            origin_server_ts=origin_server_ts,
        )
        redaction = await self._once(room_id, draft, transaction, may_redact)
        redacted = await self._store.find(event_id)
        if redacted is not None and redacted.event.type == GUEST_ACCESS[0]:
            await self._memberships.remove_guests(room_id)
        return replace(redaction, by_right=by_right)

    async def _needs_right(self, head: RoomHead, requester: Requester, event_id: EventId) -> bool:
        """Own events are anyone's to redact, others' take the ``redact`` level; raises who has neither.

        Server administrators may redact the events of users of this server (spec: "Redactions"): True where
        only that lets them, and the event is not redacted already.
        """
        found = await self._store.find(event_id)
        if found is not None and found.event.room_id != head.room_id:
            raise NotFound("The event is not in this room")
        if found is not None and found.event.sender == requester.user_id:
            return False
        requester.refuse_suspended()
        levels = await self._heads.power_levels(head)
        if levels.user(requester.user_id) >= levels.redact:
            return False
        own = server_name_of(requester.user_id)
        if requester.is_admin and found is not None and server_name_of(found.event.sender) == own:
            return found.redacted_by is None
        if found is None:
            raise NotFound("Event not found")
        raise Forbidden("You may not redact the events of others here")

    async def _check_thread(self, target: str) -> None:
        """Spec: "Validation of m.thread relationships"."""
        root = await self._store.find(target)
        relates_to = root.event.content.get("m.relates_to") if root is not None else None
        if isinstance(relates_to, dict) and "rel_type" in relates_to:
            raise BadRequest("A thread cannot start off an event that relates to another")

    async def _check_here(self, head: RoomHead, target: str) -> None:
        """MSC2836: what an event has an ``m.relationship`` with is an event of the same room."""
        found = await self._store.find(target)
        if found is None or found.event.room_id != head.room_id:
            raise InvalidParam("There is no such event in the room to have a relationship with")

    async def _check_annotation(self, head: RoomHead, draft: Draft, target: str, key: str) -> None:
        """Spec: "Avoiding duplicate annotations"."""
        ids = await self._db.read(
            lambda tx: relations_storage.of_sender(
                tx, head.room_id, target, rel_type=ANNOTATION, event_type=draft.type, sender=draft.sender
            )
        )
        for item in await self._store.get_list(ids):
            if _annotation_key(item.event.content) == key:
                raise BadRequest("You have reacted so already", errcode="M_DUPLICATE_ANNOTATION")

    async def _once(
        self, room_id: RoomId, draft: Draft, transaction: SendTransaction, guard: Guard | None
    ) -> Sent:
        try:
            sent = await self._writer.send(room_id, draft, transaction=transaction, guard=guard)
        except MatrixError:
            # The same request may have been carried out while it was still allowed.
            made = await self._writer.find_transaction(transaction)
            if made is None:
                raise
            return Sent(made)
        return Sent(sent.event_id)


def _relation(content: dict[str, Any], name: str = "m.relates_to") -> tuple[Any, str]:
    """``(rel_type, target)`` of an event that relates to another; an empty target where it does not."""
    relates_to = content.get(name)
    if not isinstance(relates_to, dict) or not isinstance(target := relates_to.get("event_id"), str):
        return None, ""
    return relates_to.get("rel_type"), target


def _annotation_key(content: dict[str, Any]) -> str | None:
    relates_to = content.get("m.relates_to")
    key = relates_to.get("key") if isinstance(relates_to, dict) else None
    return key if isinstance(key, str) else None


def check_ts(origin_server_ts: int | None) -> None:
    """Raises InvalidParam for a time that no event can have."""
    if origin_server_ts is not None and not 0 <= origin_server_ts <= MAX_TS:
        raise InvalidParam("The time is out of range")


def _transaction(
    requester: Requester, scope: str, transaction_id: str, delay_id: str | None = None
) -> SendTransaction:
    if len(transaction_id.encode("utf-8", "replace")) > MAX_TRANSACTION_ID:
        raise InvalidParam("The transaction ID is too long")
    return SendTransaction(
        user_id=requester.user_id,
        device_id=requester.device_id,
        scope=scope,
        transaction_id=transaction_id,
        delay_id=delay_id,
    )
