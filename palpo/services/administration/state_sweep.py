"""Nodes of the state tree that no state has: what is left of joins that failed, or of a killed process.

A job looks at every state of every room, and sets aside what none of them has. A day later, if still none has
it, it is deleted. Nothing is locked meanwhile: whoever writes a state stores all nodes that are new to it, so
one that was set aside is there twice then; and who finds a node nowhere else reads it where it was set aside
(``storage.state``). The next sweep puts that back.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from palpo.core.errors import Conflict, MatrixError
from palpo.core.records.jobs import Json
from palpo.core.state_tree import EMPTY_ROOT
from palpo.db.transaction import WriteTransaction
from palpo.services.administration.state_trees import NodesInUse
from palpo.services.history.event_store import EventStore
from palpo.services.server import Server
from palpo.services.server.jobs import Step
from palpo.storage import history_purge, rooms
from palpo.storage import orphaned_nodes as storage
from palpo.storage.history_purge import BEGINNING, Order
from palpo.streams.turns import Turns

KIND = "sweep_state_nodes"
BATCH = 500
"""Rows that are read, or written, at once."""
ASIDE_MS = 24 * 3600 * 1000
"""How long a node is set aside."""
PERIOD_MS = 7 * 24 * 3600 * 1000
ATTEMPTS = 5
"""How often a room is looked at whose history is being deleted meanwhile."""


class StateSweep:
    """Begins sweeps, and carries them out."""

    def __init__(self, server: Server, events: EventStore) -> None:
        self._db = server.db
        self._clock = server.clock
        self._jobs = server.jobs
        self._events = events

    async def begin(self, *, by: str) -> str:
        """Have it be done now; the job's ID. Raises Conflict while it is."""
        return (await self._jobs.start(KIND, requested_by=by)).job_id

    async def begin_if_due(self) -> None:
        """Have it be done once a week, and a day after something was set aside."""
        found = await self._jobs.find(kind=KIND, limit=1000)
        period_ms = PERIOD_MS
        if found and (found[0].result or {}).get("set_aside"):
            period_ms = ASIDE_MS
        if not found or self._clock.now_ms() - found[0].created_ts > period_ms:
            with suppress(Conflict):
                await self.begin(by="")

    async def run(self, step: Step) -> Json | None:
        """Carry a sweep out: after a ``kill -9`` it looks anew, and goes on from where it had deleted."""
        needed = await self._needed()
        if step.job.checkpoint is None:
            await step.save({"stage": "aside", "after": ""}, set_aside=0, deleted=0, put_back=0)
        if _at(step)["stage"] == "aside":
            await self._look_at_what_is_aside(step, needed)
        await self._set_aside(step, needed)
        return {name: step.job.progress[name] for name in ("set_aside", "deleted", "put_back")}

    async def _needed(self) -> NodesInUse:
        """What all states of all rooms have."""
        needed, after = NodesInUse(self._events), ""
        while found := await self._db.read(partial(rooms.roots_after, room_id=after, limit=BATCH)):
            for room_id in found:
                await self._need(room_id, needed)
            after = max(found)
        return needed

    async def _need(self, room_id: str, needed: NodesInUse) -> None:
        for _ in range(ATTEMPTS):
            try:
                return await self._need_all(room_id, needed)
            except KeyError:
                continue  # What was being looked at has just been deleted.
        raise MatrixError(f"The states of {room_id} are not all there")

    async def _need_all(self, room_id: str, needed: NodesInUse) -> None:
        needed.forget_last()
        at: tuple[Order, str] = (BEGINNING, "")
        while found := await self._db.read(
            partial(history_purge.after, room_id=room_id, order=at[0], event_id=at[1], limit=BATCH)
        ):
            for item in found:
                for root in item.roots:
                    await needed.add(root)
            at = found[-1].order, found[-1].event_id
        for _, root in await self._db.read(partial(history_purge.room_roots_of, room_id=room_id)):
            await needed.add(root)
        head = await self._db.read(partial(rooms.load_head, room_id=room_id))
        await needed.add(EMPTY_ROOT if head is None else head.state_root)

    async def _look_at_what_is_aside(self, step: Step, needed: NodesInUse) -> None:
        turns = Turns()
        now_ms = self._clock.now_ms()
        while found := await self._db.read(
            partial(storage.aside_after, after=bytes.fromhex(_at(step)["after"]), limit=BATCH)
        ):
            await turns.breathe()
            back = [name for name in found if name in needed]
            gone = [name for name in found if name not in needed and found[name] <= now_ms - ASIDE_MS]
            await self._write(step, "aside", max(found), put_back=back, deleted=gone)
        await step.save({"stage": "nodes", "after": ""}, **step.job.progress)

    async def _set_aside(self, step: Step, needed: NodesInUse) -> None:
        turns = Turns()
        while found := await self._db.read(
            partial(storage.nodes_after, after=bytes.fromhex(_at(step)["after"]), limit=BATCH)
        ):
            await turns.breathe()
            await self._write(
                step, "nodes", found[-1], set_aside=[name for name in found if name not in needed]
            )

    async def _write(self, step: Step, stage: str, upto: bytes, **some: list[bytes]) -> None:
        """Do it to some nodes, and note that all up to one are done with."""

        async def unit(tx: WriteTransaction) -> None:
            if names := some.get("set_aside"):
                await storage.set_aside(tx, names, now_ms=self._clock.now_ms())
            if names := some.get("put_back"):
                await storage.put_back(tx, names)
            if names := some.get("deleted"):
                await storage.forget(tx, names)

        counts = {
            name: int(str(step.job.progress[name])) + len(some.get(name, ())) for name in step.job.progress
        }
        await step.write(unit, {"stage": stage, "after": upto.hex()}, **counts)


def _at(step: Step) -> Json:
    assert step.job.checkpoint is not None
    return step.job.checkpoint
