"""Does the steps of an import one after the other, each from where it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.services.administration.synapse_import.steps import Batch, Step
from palpo.storage import synapse_import as storage
from palpo.storage.synapse_import import Checkpoint
from palpo.streams.clock import Clock

Told = Callable[[str, str, int, int], None]
"""Is told what is done (``imported``, ``compared``), of which step, how many of its rows, and of how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What has become of a step."""

    step: str
    rows: int
    before: bool
    """Whether it was done before: an import that is done stays so."""


class SynapseImport:
    """Fills this server's database."""

    def __init__(self, db: Database, clock: Clock, steps: Sequence[Step]) -> None:
        self._db = db
        self._clock = clock
        self._steps = steps

    async def run(self, told: Told) -> list[Imported]:
        """Import what is not here yet; raises DatabaseError, and what a step raises of its own."""
        if not await self._db.read(storage.is_begun):
            await self._note(done=False)
        imported = [await self._import(step, told) for step in self._steps]
        if await self._db.read(storage.is_unfinished):
            await self._note(done=True)
        return imported

    async def differences(self, told: Told) -> AsyncIterator[str]:
        """What is not here as it is there: a line for each, with the step's name."""
        for number, step in enumerate(self._steps, 1):
            async for line in step.differences():
                yield f"{step.name}: {line}"
            told("compared", step.name, number, len(self._steps))

    async def _import(self, step: Step, told: Told) -> Imported:
        known = await self._db.read(partial(storage.get, step=step.name))
        if known is not None and known.done:
            return Imported(step=step.name, rows=known.rows, before=True)
        at = known or Checkpoint(total=await step.count())
        async for batch in step.batches(at.after):
            at = Checkpoint(after=batch.after, rows=at.rows + batch.rows, total=at.total)
            await self._db.write(partial(self._store, step.name, batch, at))
            told("imported", step.name, at.rows, at.total)
        done = Checkpoint(after=at.after, rows=at.rows, total=at.total, done=True)
        await self._db.write(partial(self._store, step.name, None, done))
        return Imported(step=step.name, rows=at.rows, before=False)

    async def _note(self, *, done: bool) -> None:
        now_ms = self._clock.now_ms()
        await self._db.write(
            partial(storage.put, step=storage.WHOLE, checkpoint=Checkpoint(done=done), now_ms=now_ms)
        )

    async def _store(self, step: str, batch: Batch | None, at: Checkpoint, tx: WriteTransaction) -> None:
        if batch is not None and batch.write is not None:
            await batch.write(tx)
        await storage.put(tx, step, at, self._clock.now_ms())
