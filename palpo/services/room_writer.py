"""The one way into a room's history: drafts in, signed and authorized events out.

    submit ─▶ [waiting] ─▶ build: chain onto the head, authorize, sign, new state root
                             └▶ persist: one transaction for all that waited ─▶ futures

A process gathers what waits and writes it as one transaction: one room's events in order, many
rooms together. Building needs only the room's head, which is in memory; persisting compares every
head under the stream position's lock, and if another process has moved one, that room's drafts are
built again on the new head. Nothing is acknowledged before it is committed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import structlog

from palpo.core import state_tree, unpadded_base64
from palpo.core.auth_rules import auth_types_for, check_auth
from palpo.core.canonical_json import to_json
from palpo.core.errors import BadJson, MatrixError
from palpo.core.events import Event, StateKey, build_event, reference_hash, stripped
from palpo.core.room_versions import EventIdFormat, RoomVersion
from palpo.core.signing import SigningKey
from palpo.core.state_tree import EMPTY_ROOT
from palpo.db.engine import Database
from palpo.db.errors import UniqueViolation
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.services.event_store import EventStore
from palpo.services.room_heads import RoomHead, RoomHeads
from palpo.storage import events as events_storage
from palpo.storage import memberships as memberships_storage
from palpo.storage import rooms as rooms_storage
from palpo.storage import state as state_storage
from palpo.storage.events import MadeBy, NewEvent, StoredEvent, stored
from palpo.storage.memberships import Membership
from palpo.storage.rooms import HeadRow
from palpo.streams.clock import Clock

log = structlog.get_logger("palpo.room_writer")

CREATE: StateKey = ("m.room.create", "")
STRIPPED_TYPES = (
    "m.room.create",
    "m.room.name",
    "m.room.avatar",
    "m.room.topic",
    "m.room.join_rules",
    "m.room.canonical_alias",
    "m.room.encryption",
)
"""The state that invites and knocks show, besides the membership itself (spec: "Stripped state")."""
MAX_DEPTH = 2**53 - 1
ATTEMPTS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An event before it has a place in a room."""

    type: str
    sender: str
    content: dict[str, Any]
    state_key: str | None = None
    redacts: str | None = None
    origin_server_ts: int | None = None
    """Milliseconds since the Unix epoch; the time of writing where it is None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendTransaction:
    """What makes a request the same request when it is sent again."""

    user_id: str
    device_id: str | None
    scope: str
    """The endpoint and its path, without the transaction ID."""
    transaction_id: str

    @property
    def hash(self) -> bytes:
        """16 bytes that stand for it in the database."""
        parts = (self.user_id, self.device_id or "", self.scope, self.transaction_id)
        return blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=16).digest()


Guard = Callable[[RoomHead], Awaitable[None]]
"""Looks at the head that drafts are about to be written on; raises to refuse them."""


@dataclass(slots=True, kw_only=True)
class _Submission:
    room_id: str | None
    """None for a room that its first draft creates, where the event decides the ID."""
    drafts: Sequence[Draft]
    creates: RoomVersion | None
    transaction: SendTransaction | None
    guard: Guard | None
    future: asyncio.Future[list[StoredEvent]]


@dataclass(slots=True, kw_only=True)
class _Built:
    """A submission whose events are ready to be written."""

    submission: _Submission
    head: RoomHead
    events: list[NewEvent]
    nodes: dict[bytes, bytes] = field(default_factory=dict)
    memberships: list[tuple[int, Membership]] = field(default_factory=list)
    """With the index of its event in ``events``."""


class HeadsMoved(Exception):
    """Another process has written to these rooms since their heads were read."""

    def __init__(self, room_ids: set[str]) -> None:
        super().__init__(f"{len(room_ids)} rooms have moved on")
        self.room_ids = room_ids


class RoomWriter:
    """The process's writer of events by local users."""

    def __init__(
        self,
        db: Database,
        store: EventStore,
        heads: RoomHeads,
        clock: Clock,
        *,
        server_name: str,
        key: SigningKey,
        random_id: Callable[[], str],
        bound: int = 64,
    ) -> None:
        self._db = db
        self._store = store
        self._heads = heads
        self._clock = clock
        self._server_name = server_name
        self._key = key
        self._random_id = random_id
        self._bound = bound
        self._waiting: list[_Submission] = []
        self._wake = asyncio.Event()

    async def send(
        self,
        room_id: str,
        draft: Draft,
        *,
        transaction: SendTransaction | None = None,
        guard: Guard | None = None,
    ) -> StoredEvent:
        """Write one event; the same request again returns the same event.

        Raises NotFound, AuthError, TooLarge, BadJson, and whatever ``guard`` raises.
        """
        return (await self.send_all(room_id, [draft], transaction=transaction, guard=guard))[-1]

    async def send_all(
        self,
        room_id: str,
        drafts: Sequence[Draft],
        *,
        transaction: SendTransaction | None = None,
        guard: Guard | None = None,
    ) -> list[StoredEvent]:
        """Write several events to a room, all or none, with nothing between them."""
        return await self._submit(room_id, drafts, None, transaction, guard)

    async def create(self, version: RoomVersion, room_id: str | None, drafts: Sequence[Draft]) -> str:
        """Make a room of ``drafts``, the first being its create event; returns the room's ID.

        ``room_id`` is None for versions in which the create event decides it.
        """
        written = await self._submit(room_id, drafts, version, None, None)
        return written[0].event.room_id

    async def find_transaction(self, transaction: SendTransaction) -> str | None:
        """The event that the same request has made before."""
        name = transaction.hash

        async def find(tx: Transaction) -> str | None:
            return (await events_storage.find_transactions(tx, [name])).get(name)

        return await self._db.read(find)

    async def run(self) -> None:
        """Write what waits until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                group, self._waiting = self._waiting[: self._bound], self._waiting[self._bound :]
                try:
                    await self._write(group)
                except Exception as error:  # noqa: BLE001 - the loop serves every room
                    for submission in group:
                        _fail(submission, error)

    async def _submit(
        self,
        room_id: str | None,
        drafts: Sequence[Draft],
        creates: RoomVersion | None,
        transaction: SendTransaction | None,
        guard: Guard | None,
    ) -> list[StoredEvent]:
        submission = _Submission(
            room_id=room_id,
            drafts=drafts,
            creates=creates,
            transaction=transaction,
            guard=guard,
            future=asyncio.get_running_loop().create_future(),
        )
        self._waiting.append(submission)
        self._wake.set()
        return await asyncio.shield(submission.future)

    async def _write(self, group: list[_Submission]) -> None:
        for attempt in range(ATTEMPTS):
            built = await self._build_group(group)
            if not built:
                return
            try:
                await self._persist(built)
            except HeadsMoved as moved:
                self._heads.forget(moved.room_ids)
            except UniqueViolation:
                self._heads.forget([item.head.room_id for item in built])
                await self._answer_repeated(built, final=attempt > 0)
            else:
                return
            group = [submission for submission in group if not submission.future.done()]
        for submission in group:
            _fail(submission, MatrixError("The room is being written to; try again", status=503))

    async def _build_group(self, group: list[_Submission]) -> list[_Built]:
        heads: dict[str, RoomHead] = {}
        made: dict[SendTransaction, _Submission] = {}
        built: list[_Built] = []
        for submission in group:
            if submission.transaction in made:
                _follow(submission, made[submission.transaction])
                continue
            try:
                item = await self._build(submission, heads)
            except Exception as error:  # noqa: BLE001 - it is the submitter's, who awaits the future
                _fail(submission, error)
                continue
            heads[item.head.room_id] = item.head
            built.append(item)
            if submission.transaction is not None:
                made[submission.transaction] = submission
        return built

    async def _build(self, submission: _Submission, heads: Mapping[str, RoomHead]) -> _Built:
        drafts = list(submission.drafts)
        if submission.creates is not None:
            built = self._first_event(submission, drafts.pop(0), submission.creates)
        else:
            room_id = submission.room_id or ""
            head = heads.get(room_id) or await self._heads.get(room_id)
            if submission.guard is not None:
                await submission.guard(head)
            built = _Built(submission=submission, head=head, events=[])
        for draft in drafts:
            await self._add(built, draft)
        return built

    def _first_event(self, submission: _Submission, draft: Draft, rules: RoomVersion) -> _Built:
        event = self._sign(rules, draft, submission.room_id, 1, (), ())
        check_auth(rules, event, {})
        update = state_tree.build({CREATE: event.event_id})
        self._store.add((), update.new_nodes)
        row = HeadRow(
            room_id=event.room_id,
            version=rules.id,
            create_event_id=event.event_id,
            head=0,
            extremities=(event.event_id,),
            depth=1,
            state_root=update.root,
        )
        new = NewEvent(event=event, state_before=EMPTY_ROOT, state_after=update.root, room_state=update.root)
        head = RoomHead(row=row, rules=rules, known={CREATE: event})
        return _Built(submission=submission, head=head, events=[new], nodes=dict(update.new_nodes))

    async def _add(self, built: _Built, draft: Draft) -> None:
        """Append the event that ``draft`` makes to ``built``. Raises AuthError."""
        head, rules = built.head, built.head.rules
        keys = auth_types_for(
            rules, type=draft.type, sender=draft.sender, state_key=draft.state_key, content=draft.content
        )
        auth_state = await self._state(built, [*keys, CREATE])
        auth_events = [auth_state[key] for key in dict.fromkeys(keys) if key in auth_state]
        extremities = head.row.extremities
        event = self._sign(
            rules,
            draft,
            head.room_id,
            min(head.row.depth + 1, MAX_DEPTH),
            extremities,
            [item.event_id for item in auth_events],
            hashes_of=await self._hashes(built, extremities, auth_events),
        )
        check_auth(rules, event, auth_state)
        root = head.state_root
        if event.state_key is not None:
            root = await self._change_state(built, event)
        new = NewEvent(event=event, state_before=head.state_root, state_after=root, room_state=root)
        if event.type == "m.room.member":
            built.memberships.append((len(built.events), await self._membership(built, event)))
        built.events.append(new)
        built.head = head.advanced(event, root)

    async def _state(self, built: _Built, keys: Sequence[StateKey]) -> dict[StateKey, Event]:
        return await self._heads.state(built.head, keys)

    async def _change_state(self, built: _Built, event: Event) -> bytes:
        nodes = built.nodes
        operation = state_tree.update(built.head.state_root, {event.key: event.event_id})
        update = await self._store.read_state(operation)
        nodes.update(update.new_nodes)
        self._store.add((), update.new_nodes)
        return update.root

    async def _hashes(
        self, built: _Built, prev_events: Sequence[str], auth_events: Sequence[Event]
    ) -> dict[str, str] | None:
        """The reference hashes of what an event refers to, where its version names them with the ID."""
        rules = built.head.rules
        if rules.event_id_format is not EventIdFormat.CHOSEN:
            return None
        events = {event.event_id: event for event in auth_events}
        events |= {item.event.event_id: item.event for item in built.events}
        missing = [event_id for event_id in prev_events if event_id not in events]
        events |= {item.event_id: item.event for item in await self._store.get_list(missing)}
        return {
            event_id: unpadded_base64.encode(reference_hash(rules, event.pdu))
            for event_id, event in events.items()
        }

    def _sign(
        self,
        rules: RoomVersion,
        draft: Draft,
        room_id: str | None,
        depth: int,
        prev_events: Sequence[str],
        auth_events: Sequence[str],
        *,
        hashes_of: Mapping[str, str] | None = None,
    ) -> Event:
        if "\0" in draft.type or "\0" in (draft.state_key or ""):
            raise BadJson("An event's type and state key may not contain NUL")
        chosen = rules.event_id_format is EventIdFormat.CHOSEN
        return build_event(
            rules,
            server_name=self._server_name,
            key=self._key,
            room_id=room_id,
            type=draft.type,
            sender=draft.sender,
            content=draft.content,
            origin_server_ts=self._clock.now_ms()
            if draft.origin_server_ts is None
            else draft.origin_server_ts,
            depth=depth,
            prev_events=prev_events,
            auth_events=auth_events,
            state_key=draft.state_key,
            redacts=draft.redacts,
            event_id=f"${self._random_id()}:{self._server_name}" if chosen else None,
            hashes_of=hashes_of,
        )

    async def _membership(self, built: _Built, event: Event) -> Membership:
        membership: str = event.content["membership"]
        shown: bytes | None = None
        if membership in ("invite", "knock"):
            keys = [(type_, "") for type_ in STRIPPED_TYPES]
            state = await self._state(built, [*keys, ("m.room.member", event.sender)])
            events = [*state.values(), *([event] if membership == "invite" else [])]
            unique = {item.event_id: item for item in events}
            shown = to_json([stripped(item) for item in unique.values()])
        return Membership(
            room_id=event.room_id,
            user_id=event.state_key or "",
            membership=membership,
            event_id=event.event_id,
            sender=event.sender,
            position=0,
            stripped_state=shown,
        )

    async def _persist(self, built: Sequence[_Built]) -> None:
        writing = _Group(built, self._clock.now_ms())
        first = await self._db.write(writing.write)
        nodes: dict[bytes, bytes] = {}
        position = first
        for item in built:
            results = [stored(new, position + index) for index, new in enumerate(item.events)]
            position += len(results)
            nodes.update(item.nodes)
            self._store.add(results, {})
            self._heads.keep({item.head.room_id: item.head.at(position - 1)})
            if any(new.event.redacts is not None for new in item.events):
                self._heads.forget([item.head.room_id])
            if not item.submission.future.done():
                item.submission.future.set_result(results)
        self._store.add((), nodes)

    async def _answer_repeated(self, built: Sequence[_Built], *, final: bool) -> None:
        """Answer those whose request has made an event before; the rest are written again."""
        repeated = {made.hash: item for item in built if (made := item.submission.transaction) is not None}
        names = list(repeated)
        found = await self._db.read(lambda tx: events_storage.find_transactions(tx, names))
        for name, event_id in found.items():
            event = await self._store.get(event_id)
            if not repeated[name].submission.future.done():
                repeated[name].submission.future.set_result([event])
        if not found and final:
            for item in built:
                _fail(item.submission, MatrixError("The event is there already", status=409))


class _Group:
    """The unit of work that writes a group of built submissions."""

    def __init__(self, built: Sequence[_Built], now_ms: int) -> None:
        self._built = built
        self._now_ms = now_ms
        self._expected: dict[str, int] = {}
        self._final: dict[str, RoomHead] = {}
        self._new: set[str] = set()
        for item in built:
            room_id = item.head.room_id
            if item.submission.creates is not None:
                self._new.add(room_id)
            self._expected.setdefault(room_id, item.head.row.head - len(item.events))
            self._final[room_id] = item.head

    async def write(self, tx: WriteTransaction) -> int:
        """Write everything; the first event's position. Raises HeadsMoved, UniqueViolation."""
        events = [new for item in self._built for new in item.events]
        first = await tx.positions(len(events))
        await self._compare(tx)
        await events_storage.insert(tx, events, first)
        await state_storage.insert_nodes(tx, {k: v for item in self._built for k, v in item.nodes.items()})
        await self._write_memberships(tx, first)
        await self._write_heads(tx, first)
        await self._write_transactions(tx)
        for new in events:
            tx.notify(f"room:{new.event.room_id}", f"head:{new.event.room_id}")
            if new.event.redacts is not None:
                await self._redact(tx, new.event)
        return first

    async def _compare(self, tx: Transaction) -> None:
        known = {room_id: head for room_id, head in self._expected.items() if room_id not in self._new}
        if not known:
            return
        found = await rooms_storage.heads(tx, known)
        moved = {room_id for room_id, head in known.items() if found.get(room_id) != head}
        if moved:
            raise HeadsMoved(moved)

    async def _write_memberships(self, tx: WriteTransaction, first: int) -> None:
        rows: dict[tuple[str, str], Membership] = {}
        offset = first
        for item in self._built:
            for index, membership in item.memberships:
                row = Membership(
                    room_id=membership.room_id,
                    user_id=membership.user_id,
                    membership=membership.membership,
                    event_id=membership.event_id,
                    sender=membership.sender,
                    position=offset + index,
                    stripped_state=membership.stripped_state,
                )
                rows[row.room_id, row.user_id] = row
                tx.notify(f"user:{row.user_id}", f"member:{row.user_id}")
            offset += len(item.events)
        await memberships_storage.put(tx, list(rows.values()))

    async def _write_heads(self, tx: WriteTransaction, first: int) -> None:
        position = first
        last: dict[str, int] = {}
        for item in self._built:
            position += len(item.events)
            last[item.head.room_id] = position - 1
        rows = {room_id: head.at(last[room_id]).row for room_id, head in self._final.items()}
        await rooms_storage.insert_heads(tx, [row for room, row in rows.items() if room in self._new])
        await rooms_storage.move_heads(tx, [row for room, row in rows.items() if room not in self._new])

    async def _write_transactions(self, tx: WriteTransaction) -> None:
        made = [
            MadeBy(
                event_id=item.events[-1].event.event_id,
                hash=made.hash,
                device_id=made.device_id,
                transaction_id=made.transaction_id,
            )
            for item in self._built
            if (made := item.submission.transaction) is not None
        ]
        await events_storage.insert_transactions(tx, made, self._now_ms)

    async def _redact(self, tx: WriteTransaction, redaction: Event) -> None:
        """Redact the target, if it is of the same room (who may was settled when it was sent)."""
        assert redaction.redacts is not None
        found = await events_storage.load(tx, [redaction.redacts])
        if found and found[0].event.room_id == redaction.room_id and found[0].redacted_by is None:
            await events_storage.redact(tx, redaction.redacts, redaction.event_id)


def _follow(submission: _Submission, leader: _Submission) -> None:
    """Give ``submission`` the outcome of ``leader``, which is the same request."""

    def copy(done: asyncio.Future[list[StoredEvent]]) -> None:
        if submission.future.done() or done.cancelled():
            return
        error = done.exception()
        if error is not None:
            submission.future.set_exception(error)
        else:
            submission.future.set_result(done.result())

    leader.future.add_done_callback(copy)


def _fail(submission: _Submission, error: Exception) -> None:
    if not submission.future.done():
        submission.future.set_exception(error)
