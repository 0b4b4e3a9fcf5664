"""The unit of work that writes a group of built events: many rooms, many requests, one transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial

import msgspec

from palpo.core.canonical_json import decode, to_json
from palpo.core.errors import Forbidden
from palpo.core.events import Event, stripped
from palpo.core.identifiers import ServerName, server_name_of
from palpo.core.records.events import EventStatus, StoredEvent
from palpo.core.records.quotas import Kind
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.services.history.built import Built
from palpo.services.history.drafts import SendTransaction
from palpo.services.history.room_heads import RoomHead
from palpo.services.server.quotas import Quotas
from palpo.storage import awaited as awaited_storage
from palpo.storage import event_edges as event_edges_storage
from palpo.storage import event_refusals as event_refusals_storage
from palpo.storage import events as events_storage
from palpo.storage import memberships as memberships_storage
from palpo.storage import profiles as profiles_storage
from palpo.storage import redactions as redactions_storage
from palpo.storage import room_roots as room_roots_storage
from palpo.storage import room_servers as room_servers_storage
from palpo.storage import rooms as rooms_storage
from palpo.storage import state as state_storage
from palpo.storage.events import MadeBy, NewEvent
from palpo.storage.memberships import Member
from palpo.storage.redactions import PendingRedaction
from palpo.streams import topics

MAX_PENDING = 500
"""Invites and knocks of a room that a redaction changes: the newest."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What one request wants written."""

    built: Built
    transaction: SendTransaction | None


class HeadsMoved(Exception):
    """Another process has written to these rooms since their heads were read."""

    def __init__(self, room_ids: set[str]) -> None:
        super().__init__(f"{len(room_ids)} rooms have moved on")
        self.room_ids = room_ids


class RoomsRefused(Exception):
    """Of the new rooms, those that their makers or the server may not have; by room ID, why."""

    def __init__(self, errors: Mapping[str, Forbidden]) -> None:
        super().__init__(f"{len(errors)} rooms are too many")
        self.errors = errors


class GroupWrite:
    """The unit of work that writes what was built for a group of requests; those without events come last.

    Every head was the room's at the stream position ``known_upto``, or later. ``written`` is called after
    the commit with the first event's position, the events that were redacted at once, and the commit's own.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        quotas: Quotas,
        *,
        server_name: ServerName,
        now_ms: int,
        known_upto: int,
        written: Callable[[int, Collection[str], int], None],
    ) -> None:
        self._entries = entries
        self._quotas = quotas
        self._server_name = server_name
        self._now_ms = now_ms
        self._known_upto = known_upto
        self._written = written
        self._expected: dict[str, int] = {}
        self._final: dict[str, RoomHead] = {}
        self._new: set[str] = set()
        self._rerooted: set[str] = set()
        for item in entries:
            room_id = item.built.head.room_id
            if item.built.new_room:
                self._new.add(room_id)
            if item.built.head.rerooted:
                self._rerooted.add(room_id)
            self._expected.setdefault(room_id, item.built.head.row.head - item.built.positions)
            self._final[room_id] = item.built.head

    async def write(self, tx: WriteTransaction) -> None:
        """Write everything; raises HeadsMoved, RoomsRefused, UniqueViolation."""
        events = [new for item in self._entries for new in item.built.events]
        first = await tx.positions(sum(item.built.positions for item in self._entries))
        redacted: set[str] = set()
        tx.on_commit(partial(self._written, first, redacted))
        if tx.since != self._known_upto:
            await self._compare(tx)
        if self._new:
            await self._charge(tx)
        await events_storage.insert(tx, events, first)
        nodes = {k: v for item in self._entries for k, v in item.built.nodes.items()}
        if nodes:
            await state_storage.insert_nodes(tx, nodes)
        rejudged = [item for entry in self._entries for item in entry.built.rejudged]
        if rejudged:
            await events_storage.rejudge(tx, rejudged)
        if any(item.built.memberships or item.built.names for item in self._entries):
            await self._write_memberships(tx, first)
        if any(item.built.besides for item in self._entries):
            await self._write_besides(tx, first)
        await self._write_heads(tx, first)
        await self._write_transactions(tx)
        tx.notify(topics.ROOM, *{new.event.room_id for new in events if not new.past}, *self._rerooted)
        tx.notify(topics.HEAD, *self._final)
        for position, new in enumerate(events, first):
            if new.event.redacts is not None and new.status is EventStatus.ACCEPTED:
                await self._redact(tx, new, position)
        foreign = [new for new in events if new.elsewhere]
        if foreign:
            await event_edges_storage.note(tx, foreign)
            awaited = await awaited_storage.find(tx, [new.event.event_id for new in foreign])
            if awaited.missing:
                rooms = {new.event.room_id for new in foreign}
                await event_edges_storage.close(tx, rooms, awaited.missing)
            if awaited.redacted:
                redacted |= await self._redact_late(tx, awaited.redacted, first)
            await event_refusals_storage.note(tx, foreign, rejudged, self._now_ms)

    async def _compare(self, tx: Transaction) -> None:
        """See whether the heads are still where they were: somebody has committed since."""
        known = {room_id: head for room_id, head in self._expected.items() if room_id not in self._new}
        if not known:
            return
        found = await rooms_storage.heads(tx, known)
        moved = {room_id for room_id, head in known.items() if found.get(room_id) != head}
        if moved:
            raise HeadsMoved(moved)

    async def _charge(self, tx: WriteTransaction) -> None:
        """Count each new room as its maker's."""
        refused: dict[str, Forbidden] = {}
        for item in self._entries:
            if item.built.new_room:
                maker = item.built.events[0].event.sender
                try:
                    await self._quotas.charge(tx, maker, {Kind.ROOMS: 1})
                except Forbidden as error:
                    refused[item.built.head.room_id] = error
        if refused:
            raise RoomsRefused(refused)

    async def _write_memberships(self, tx: WriteTransaction, first: int) -> None:
        rows: dict[tuple[str, str], Member] = {}
        offset = first
        for item in self._entries:
            for index, membership in item.built.memberships:
                row = replace(membership, position=offset + index)
                rows[row.room_id, row.user_id] = row
                tx.notify(topics.USER, row.user_id)
                tx.notify(topics.MEMBER, row.user_id)
            offset += item.built.positions
        changed = list(rows.values())
        await room_servers_storage.follow(tx, changed, self._server_name)
        await profiles_storage.note_members(tx, changed, self._server_name)
        for item in self._entries:
            if item.built.names:
                await profiles_storage.note_names(tx, item.built.names, self._server_name, first)
        await memberships_storage.put(tx, changed)

    async def _write_besides(self, tx: WriteTransaction, first: int) -> None:
        for item in self._entries:
            first += item.built.positions
            if item.built.besides is not None:
                await item.built.besides(tx, first - 1)

    async def _write_heads(self, tx: WriteTransaction, first: int) -> None:
        position = first
        last: dict[str, int] = {}
        for item in self._entries:
            position += item.built.positions
            last[item.built.head.room_id] = position - 1
        rows = {room_id: head.at(last[room_id]).row for room_id, head in self._final.items()}
        if self._new:
            await rooms_storage.insert_heads(tx, [row for room, row in rows.items() if room in self._new])
        await rooms_storage.move_heads(tx, [row for room, row in rows.items() if room not in self._new])
        if self._rerooted:
            changed = {room: (rows[room].position, rows[room].state_root) for room in self._rerooted}
            await room_roots_storage.put(tx, changed)

    async def _write_transactions(self, tx: WriteTransaction) -> None:
        made = [
            MadeBy(
                event_id=item.built.events[-1].event.event_id,
                hash=made.hash,
                device_id=made.device_id,
                transaction_id=made.transaction_id,
                delay_id=made.delay_id,
            )
            for item in self._entries
            if (made := item.transaction) is not None
        ]
        await events_storage.insert_transactions(tx, made, self._now_ms)

    async def _redact(self, tx: WriteTransaction, new: NewEvent, position: int) -> None:
        """Redact the target, or have the redaction wait for it.

        Who may was settled when it was sent, or judged by the state before it (``may_redact_others``). One of
        this server's waits too: its client can know of an event by another server before it is here.
        """
        redaction, target = new.event, new.event.redacts
        assert target is not None
        found = await events_storage.load(tx, [target])
        if not found:
            waits = PendingRedaction(
                target_id=target,
                redaction_id=redaction.event_id,
                may_redact_others=new.may_redact_others,
            )
            await redactions_storage.put(tx, waits)
            return
        await self._redact_found(
            tx, found[0], redaction, may_redact_others=new.may_redact_others, position=position
        )

    async def _redact_found(
        self,
        tx: WriteTransaction,
        target: StoredEvent,
        redaction: Event,
        *,
        may_redact_others: bool,
        position: int,
    ) -> None:
        if target.event.room_id != redaction.room_id or target.redacted_by is not None:
            return
        if may_redact_others or server_name_of(redaction.sender) == server_name_of(target.event.sender):
            await events_storage.redact(tx, redaction.room_id, target.event_id, redaction.event_id)
            await self._redact_stripped(tx, target, position)

    async def _redact_late(self, tx: WriteTransaction, event_ids: Sequence[str], position: int) -> set[str]:
        """Redact events for which redactions have been waiting; which they are."""
        targets = set()
        for waited in await redactions_storage.take(tx, event_ids):
            found = {
                item.event_id: item
                for item in await events_storage.load(tx, [waited.target_id, waited.redaction_id])
            }
            redaction = found.get(waited.redaction_id)
            targets.add(waited.target_id)
            if redaction is not None:
                await self._redact_found(
                    tx,
                    found[waited.target_id],
                    redaction.event,
                    may_redact_others=waited.may_redact_others,
                    position=position,
                )
        return targets

    async def _redact_stripped(self, tx: WriteTransaction, target: StoredEvent, position: int) -> None:
        """Take what was redacted out of what invites and knocks show of the room, and tell of them anew."""
        if target.event.state_key is None:
            return
        redacted = await events_storage.load(tx, [target.event_id])
        before, after = stripped(target.event), stripped(redacted[0].event)
        changed: list[Member] = []
        for row in await memberships_storage.pending(tx, target.event.room_id, MAX_PENDING):
            shown = decode(row.stripped_state or b"[]")
            if before in shown:
                told = to_json([after if item == before else item for item in shown])
                changed.append(replace(row, stripped_state=told, position=position))
                tx.notify(topics.USER, row.user_id)
                tx.notify(topics.MEMBER, row.user_id)
        await memberships_storage.put(tx, changed)
