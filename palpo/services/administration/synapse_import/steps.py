"""What a step of the import is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from palpo.core.identifiers import ServerName
from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction, WriteUnit

R = TypeVar("R")
BATCH = 500
"""Rows in one transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A Synapse that is stopped."""

    db: Database
    """Its database, which is only read."""
    server_name: ServerName
    media: Path | None = None
    """Its media store; None where media are not imported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Some of a step's rows."""

    after: Any
    """JSON that says where the next batch begins, as ``batches`` understands it."""
    rows: int
    """How many of those that ``count`` counts are done with it."""
    write: WriteUnit[None] | None = None
    """Stores them, in the transaction of the checkpoint, in which nothing else is. None where they are stored
    already, as events are: then storing them twice has to change nothing."""


class Step(ABC):
    """One noun, on its way from there to here."""

    name: str
    """Such as ``room aliases``: it is shown, and where it is stored how far it has come. Never change it."""

    @abstractmethod
    async def count(self) -> int:
        """How many rows there are to import."""

    @abstractmethod
    def batches(self, after: Any) -> AsyncIterator[Batch]:
        """What comes after what was stored last: a batch's ``after``, or None at the beginning.

        The next batch is asked for when this one is stored. One that could not be is made again.
        """

    def differences(self) -> AsyncIterator[str]:
        """Compare what is here with what is there once all steps are done: a line for each difference."""
        return no_differences()


async def no_differences() -> AsyncIterator[str]:
    """Where there is nothing to compare."""
    nothing: tuple[str, ...] = ()
    for line in nothing:
        yield line


class RowStep(Step, Generic[R]):
    """A step that goes through rows by a key."""

    batch = BATCH

    @abstractmethod
    async def page(self, after: Any) -> Sequence[R]:
        """The next ``batch`` rows in the order of their keys, above ``after`` (None: from the first one on).

        Fewer only at the end.
        """

    @abstractmethod
    def key(self, row: R) -> Any:
        """The row's key, as JSON: text, a number, or a list of such."""

    @abstractmethod
    async def write(self, rows: Sequence[R], tx: WriteTransaction) -> None:
        """Store rows; those that are there already, from another try, are replaced or left."""

    async def batches(self, after: Any) -> AsyncIterator[Batch]:
        """Page after page."""
        while rows := await self.page(after):
            after = self.key(rows[-1])
            yield Batch(after=after, rows=len(rows), write=partial(self.write, rows))
            if len(rows) < self.batch:
                return
