"""Units of work, driven by hand: what one awaits is seen here before the event loop sees it.

On SQLite nothing that a transaction does ever waits, so a unit that suspends awaits something else. On a
server it may suspend while its transaction waits for an answer, and at no other time.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import types
from asyncio import _set_running_loop
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Protocol, TypeVar, cast

from palpo.db.errors import UnitError

T = TypeVar("T")
X = TypeVar("X")
Unit = Callable[[X], Awaitable[T]]


class Waiting(Protocol):
    """A transaction that may wait."""

    waits: bool
    """Whether it does, for its server."""


class _Here(threading.local):
    """What this thread does now. (To ask asyncio for the loop instead would be a system call.)"""

    unit: Unit[Any, Any] | None = None
    """The unit of which it runs a step."""
    loopless: bool = False
    """Whether units find _NoLoop here."""


_here = _Here()


class _NoLoop:
    """What a unit finds where it looks for its thread's event loop, and there is none."""

    def __getattr__(self, name: str) -> Any:
        raise _error(_here.unit, AWAITS)


AWAITS = "awaits something else"


def refuse_within_unit(call: str) -> None:
    """Raise UnitError where a unit of work is what makes this ``call``."""
    if _here.unit is not None:
        raise _error(_here.unit, f"calls {call}")


def refuse_outside_unit() -> None:
    """Raise UnitError where a task uses a transaction that is its unit's own."""
    if _here.unit is None:
        raise UnitError("a transaction is for its unit of work only, and for no task that this begins")


def run_to_end(unit: Unit[X, T], transaction: X) -> T:
    """Run a unit over a transaction that never waits; raises UnitError if anything else does."""
    coroutine: Any = unit(transaction)
    _here.unit = unit
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    finally:
        _here.unit = None
    raise _refused(unit, coroutine)


def run_in_thread(unit: Unit[X, T], transaction: X) -> T:
    """``run_to_end`` in a thread that has no event loop."""
    coroutine: Any = unit(transaction)
    if not _here.loopless:
        _set_running_loop(cast("asyncio.AbstractEventLoop", _NoLoop()))
        _here.loopless = True
    _here.unit = unit
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    except RuntimeError as error:
        # A lock, say, that others wait for in the event loop: asyncio refuses it in words of its own.
        if "event loop" in str(error):
            raise _error(unit, AWAITS) from error
        raise
    finally:
        _here.unit = None
    raise _refused(unit, coroutine)


@types.coroutine
def run_on_loop(unit: Unit[Any, T], transaction: Waiting) -> Generator[Any, Any, T]:
    """Run a unit over a transaction that waits for its server; raises UnitError if anything else does."""
    coroutine: Any = unit(transaction)
    step, value = coroutine.send, None
    while True:
        _here.unit = unit
        try:
            awaited = step(value)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        finally:
            _here.unit = None
        if not transaction.waits:
            raise _refused(unit, coroutine)
        try:
            step, value = coroutine.send, (yield awaited)
        except BaseException as error:  # noqa: BLE001 - a cancellation above all; it is the unit's
            step, value = coroutine.throw, error


def _refused(unit: Unit[Any, Any], coroutine: Any) -> UnitError:
    """The error, thrown where the unit awaits, so that the traceback shows it."""
    error = _error(unit, AWAITS)
    with contextlib.suppress(Exception):
        coroutine.throw(error)
    coroutine.close()
    return error


def _error(unit: Unit[Any, Any] | None, does: str) -> UnitError:
    name = f"{unit.__module__}.{getattr(unit, '__qualname__', repr(unit))}"
    return UnitError(f"a unit of work awaits nothing but its transaction: {name} {does}")
