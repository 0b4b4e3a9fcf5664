"""Deletes what was said in rooms before some point, with the states that only that had.

State events stay as state only, as those are of which another server told: in no timeline, and there for what
rests on them. The events that nothing refers to yet stay too, since what comes next does. A job of small
transactions: each says in its checkpoint which states it has made superfluous, so after a ``kill -9`` their
nodes are deleted first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from palpo.core.canonical_json import to_json
from palpo.core.errors import BadRequest, NotFound
from palpo.core.events import redacted_event
from palpo.core.identifiers import RoomId, ServerName, UserId, server_name_of
from palpo.core.records.events import EventStatus
from palpo.core.records.jobs import Job, Json
from palpo.core.room_versions import room_version
from palpo.db.engine import Database
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.services.administration.leftover_media import LeftoverMedia
from palpo.services.administration.state_trees import NodesInUse, delete_trees
from palpo.services.history.event_store import EventStore
from palpo.services.history.room_heads import RoomHeads
from palpo.services.reading.search_index import SearchIndex
from palpo.services.server.jobs import Jobs, Step
from palpo.storage import events as events_storage
from palpo.storage import history_purge as storage
from palpo.storage import inbound_pdus, leftover_media, rooms
from palpo.storage.history_purge import BEGINNING, Order, PastEvent
from palpo.storage.rooms import HeadRow

KIND = "purge_history"
BATCH = 200
"""Events that are looked at together."""
INDEXED = 10_000
"""Batches of the search index at most that are waited for: what it comes to later would be found for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What of a room's history is deleted."""

    before: Order
    """Only what stands before this in the timeline."""
    older_than: int | None = None
    """Of that, only what was sent before this time (ms since the Unix epoch)."""
    local_too: bool = False
    """Whether messages of this server's users go, of which there may be no other copy."""

    @property
    def json(self) -> Json:
        """As a job has it."""
        return {"before": list(self.before), "older_than": self.older_than, "local_too": self.local_too}

    @classmethod
    def of(cls, params: Json) -> Point:
        """What ``json`` has made."""
        place, position = params["before"]
        return cls(before=(place, position), older_than=params["older_than"], local_too=params["local_too"])


@dataclass(slots=True, kw_only=True)
class _Work:
    """One purge as this process carries it out."""

    room_id: RoomId
    point: Point
    server_name: ServerName
    head: HeadRow
    needed: NodesInUse
    kept: frozenset[str]
    """Events that stay whatever they are."""
    known_upto: int = 0
    """The states of what came up to this position of the stream are among those that are needed."""
    first: int = 2**62
    """The lowest position in the stream of an event that stays in the timeline."""
    at: tuple[Order, str] = field(default=(BEGINNING, ""))

    def is_old(self, item: PastEvent) -> bool:
        """Whether an event is to go, from the timeline at least."""
        if item.order >= self.point.before or item.event_id in self.kept:
            return False
        if self.point.older_than is not None and item.ts >= self.point.older_than:
            return False
        if item.is_state:
            # One that was refused must not come to be taken for good.
            return item.status in (EventStatus.ACCEPTED, EventStatus.HIDDEN)
        if self.point.local_too:
            return True
        return server_name_of(UserId(item.sender)) != self.server_name


class HistoryPurge:
    """Begins purges, carries them out, and says how far they are."""

    def __init__(
        self,
        db: Database,
        jobs: Jobs,
        events: EventStore,
        heads: RoomHeads,
        search: SearchIndex,
        leftovers: LeftoverMedia,
        server_name: ServerName,
    ) -> None:
        self._db = db
        self._jobs = jobs
        self._events = events
        self._heads = heads
        self._search = search
        self._leftovers = leftovers
        self._server_name = server_name

    async def start(self, room_id: RoomId, point: Point, *, by: str) -> Job:
        """Have history be deleted; raises NotFound, Conflict where it is being deleted."""
        await self._heads.get(room_id)
        return await self._jobs.start(KIND, target=room_id, params=point.json, requested_by=by)

    async def before_event(self, room_id: RoomId, event_id: str) -> Order:
        """The point right before an event of the room; raises NotFound."""
        found = await self._events.find(event_id)
        if found is None or found.event.room_id != room_id or found.status is not EventStatus.ACCEPTED:
            raise NotFound("Event not found")
        return found.order

    async def before_time(self, room_id: RoomId, ts: int) -> Order:
        """The point right before the first event of a time or later.

        Raises NotFound where the room has nothing older. Where all is older, that is the room's end.
        """
        head = await self._heads.get(room_id)
        found = await self._db.read(lambda tx: storage.first_since(tx, room_id, ts))
        point = (head.row.place + 1, 0) if found is None else found
        first = await self._db.read(lambda tx: storage.after(tx, room_id, BEGINNING, "", 1))
        if not first or first[0].order >= point:
            raise NotFound("There is no event to be purged")
        return point

    async def get(self, job_id: str) -> Job:
        """One purge; raises NotFound."""
        job = await self._jobs.get(job_id)
        if job.kind != KIND:
            raise NotFound("There is no such purge")
        return job

    async def run(self, step: Step) -> Json | None:
        """Carry a purge out, from wherever it is."""
        work = await self._begin(RoomId(step.job.target), Point.of(step.job.params))
        checkpoint: dict[str, Any] = step.job.checkpoint or {}
        if checkpoint:
            place, position, event_id = checkpoint["at"]
            work.at = ((place, position), event_id)
            await self._delete_states(work, [bytes.fromhex(root) for root in checkpoint["roots"]])
        gone = int(step.job.progress.get("events", 0))
        while work.at[0] < work.point.before:
            found = await self._next(work)
            if not found:
                break
            gone += await self._purge(step, work, found, gone)
        await self._prune_kept(work)
        await self._forget_roots(step, work, gone)
        await self._leftovers.begin()
        return {"events": gone}

    async def _begin(self, room_id: RoomId, point: Point) -> _Work:
        head = await self._db.read(lambda tx: rooms.load_head(tx, room_id))
        if head is None or not head.extremities:
            raise NotFound("Room not found")
        if head.is_partial:
            raise BadRequest("Members of the room are not known yet", errcode="M_UNKNOWN")
        await self._search.consumer.catch_up(batches=INDEXED)
        kept = await self._kept(head)
        work = _Work(
            room_id=room_id,
            point=point,
            server_name=self._server_name,
            head=head,
            needed=NodesInUse(self._events),
            kept=kept,
        )
        await self._note_needed(work)
        return work

    async def _kept(self, head: HeadRow) -> frozenset[str]:
        """What stays whatever it is: the next event refers to it, others hear of it, syncs begin there."""
        last = await self._db.read(lambda tx: events_storage.last_id(tx, head.room_id, head.position))
        return frozenset(filter(None, {*head.extremities, head.newest_outgoing, last}))

    async def has_older(self, head: HeadRow, ts: int) -> bool:
        """Whether a room has messages of before a time, but for those that stay, without their content."""
        kept = await self._kept(head)
        found = await self._db.read(
            partial(storage.messages_before, room_id=head.room_id, ts=ts, limit=len(kept) + 1)
        )
        return bool(found - kept) or bool(await self._unpruned(head, found, ts))

    async def _unpruned(self, head: HeadRow, event_ids: Iterable[str], ts: int) -> dict[str, bytes]:
        """Those messages of before a time that still have content, as they are without."""
        rules = room_version(head.version)
        pruned: dict[str, bytes] = {}
        for event_id, event in (await self._events.signed(event_ids)).items():
            if event.state_key is None and event.origin_server_ts < ts:
                bare = redacted_event(rules, event)
                if bare.pdu != event.pdu:
                    pruned[event_id] = to_json(bare.pdu)
        return pruned

    async def _note_needed(self, work: _Work) -> None:
        """Look through all of the room for states that are needed later."""
        at: tuple[Order, str] = (BEGINNING, "")
        while found := await self._db.read(
            partial(storage.after, room_id=work.room_id, order=at[0], event_id=at[1], limit=BATCH)
        ):
            for item in found:
                if not work.is_old(item):
                    await self._need(work, item)
            at = found[-1].order, found[-1].event_id
        await self._need_roots(work)

    async def _need_roots(self, work: _Work) -> None:
        for position, root in await self._db.read(lambda tx: storage.room_roots_of(tx, work.room_id)):
            if position > work.first:
                await work.needed.add(root)
        await work.needed.add(work.head.state_root)
        work.known_upto = work.head.position

    async def _need(self, work: _Work, item: PastEvent) -> None:
        if item.status is EventStatus.ACCEPTED and item.position > 0:
            work.first = min(work.first, item.position)
        for root in item.roots:
            await work.needed.add(root)

    async def _catch_up(self, work: _Work) -> None:
        """Note the states of what has come since."""
        head = await self._db.read(lambda tx: rooms.load_head(tx, work.room_id))
        if head is None:
            raise NotFound("Room not found")
        if head.head == work.head.head:
            return
        has_past = head.floor != work.head.floor
        work.head = head
        if has_past:
            await self._note_needed(work)
            return
        for item in await self._db.read(
            partial(storage.newer, room_id=work.room_id, position=work.known_upto)
        ):
            await self._need(work, item)
        await self._need_roots(work)

    async def _next(self, work: _Work) -> list[PastEvent]:
        order, event_id = work.at
        return await self._db.read(
            partial(storage.after, room_id=work.room_id, order=order, event_id=event_id, limit=BATCH)
        )

    async def _purge(self, step: Step, work: _Work, found: list[PastEvent], before: int) -> int:
        """Delete those of some events that are old; how many."""
        old = [item for item in found if work.is_old(item)]
        work.at = found[-1].order, found[-1].event_id
        if not old:
            return 0
        roots = list({root for item in old for root in item.roots})
        messages = [item for item in old if not item.is_state]
        media = await self._leftovers.of_events([item.event_id for item in messages])

        async def unit(tx: WriteTransaction) -> None:
            await leftover_media.note(tx, media)
            state = [item for item in old if item.is_state]
            await storage.purge(tx, work.room_id, gone=messages, state=state)

        order, event_id = work.at
        checkpoint = {"at": [*order, event_id], "roots": [root.hex() for root in roots]}
        await step.write(unit, checkpoint, events=before + len(old))
        await self._delete_states(work, roots)
        return len(old)

    async def _delete_states(self, work: _Work, roots: list[bytes]) -> None:
        """Delete states of which no event in a timeline knows any more, as far as nothing needs them."""

        async def unchanged(tx: Transaction) -> bool:
            head = await rooms.load_head(tx, work.room_id)
            return head is not None and head.head == work.head.head

        # What waits for events of other servers may need a state that is about to be deleted.
        while not await self._db.read(partial(inbound_pdus.waits_in, room_ids=[work.room_id])):
            await self._catch_up(work)
            if await delete_trees(self._db, roots, without=work.needed, guard=unchanged):
                return

    async def _prune_kept(self, work: _Work) -> None:
        """Take the content out of messages that are old, but that what comes next refers to."""
        if work.point.older_than is None:
            return
        found = await self._unpruned(work.head, work.kept, work.point.older_than)
        media = await self._leftovers.of_events(found)

        async def unit(tx: WriteTransaction) -> None:
            await leftover_media.note(tx, media)
            for event_id, pruned in found.items():
                await storage.prune(tx, event_id, pruned)

        await self._db.write(unit)

    async def _forget_roots(self, step: Step, work: _Work, gone: int) -> None:
        """Forget states that the room came to before all that is left of its timeline."""
        await self._catch_up(work)
        found = await self._db.read(lambda tx: storage.room_roots_of(tx, work.room_id))
        roots = [root for position, root in found if position <= work.first]
        unit = partial(storage.delete_roots, room_id=work.room_id, upto=work.first)
        order, event_id = work.at
        checkpoint = {"at": [*order, event_id], "roots": [root.hex() for root in roots]}
        await step.write(unit, checkpoint, events=gone)
        await self._delete_states(work, roots)
