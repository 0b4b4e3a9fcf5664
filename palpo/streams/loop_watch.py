"""Watches the event loop: how late it is, and, where it is asked for, what held it.

``heartbeat`` measures lateness, which a busy machine causes too; it goes into the metrics. ``LoopWatch``
counts the processor time of the loop's own thread between two of its turns, so that only what the loop's
own work took is found, and takes the stack of what held it from a thread of its own.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

BEAT_S = 0.25
INTERVAL_S = 0.004
"""Between two turns that the watch looks at, where there is nothing else to do."""
FRAMES = 25
_ROOT = str(Path(__file__).parents[2]) + "/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The loop was held."""

    seconds: float
    """Of processor time, from one turn of the loop to the next; without what collecting garbage took."""
    collecting: float
    """Seconds that collecting garbage took meanwhile."""
    stack: tuple[str, ...]
    """What the loop was at, the innermost frame last: ``file:line function``; empty where it was too short
    to be seen."""

    @property
    def where(self) -> str:
        """The stack in one line."""
        return " > ".join(self.stack)


async def heartbeat(observe: Callable[[float], None], *, beat_s: float = BEAT_S) -> None:
    """Tell ``observe`` again and again by how many seconds the loop is late, until cancelled."""
    while True:
        began = time.perf_counter()
        await asyncio.sleep(beat_s)
        observe(max(0.0, time.perf_counter() - began - beat_s))


class LoopWatch:
    """Calls ``found`` whenever a turn of the loop took more than ``limit_s`` of processor time.

    Start and stop it on the loop. It costs a few per cent of a processor: it is for tests, and for finding
    what holds a server.
    """

    def __init__(self, found: Callable[[Held], None], *, limit_s: float) -> None:
        self._found = found
        self._limit_s = limit_s
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._handle: asyncio.TimerHandle | None = None
        self._ident = 0
        self._clock = 0
        self._beat = 0.0
        """Processor time of the loop's thread at its last turn."""
        self._turn = 0
        self._seen: tuple[int, tuple[str, ...]] = (0, ())
        """The turn in which the last stack was taken, and the stack."""
        self._collected = 0.0
        self._collecting = 0.0

    def start(self) -> None:
        """Begin to watch the loop that this is called on."""
        self._ident = threading.get_ident()
        self._clock = time.pthread_getcpuclockid(self._ident)
        self._beat = time.thread_time()
        gc.callbacks.append(self._on_collection)
        self._thread = threading.Thread(target=self._watch, name="loop-watch", daemon=True)
        self._thread.start()
        self._handle = asyncio.get_running_loop().call_later(INTERVAL_S, self._next_turn)

    def stop(self) -> None:
        """Stop watching."""
        self._stopping.set()
        if self._handle is not None:
            self._handle.cancel()
        if self._thread is not None:
            self._thread.join()
            gc.callbacks.remove(self._on_collection)
            self._thread = None

    def __enter__(self) -> LoopWatch:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def forget(self) -> None:
        """Begin anew: what was done in this turn of the loop so far is not the server's."""
        self._collected = 0.0
        self._turn += 1
        self._beat = time.thread_time()

    def look(self) -> None:
        """See how long this turn of the loop has taken so far, and begin anew."""
        now = time.thread_time()
        seconds = now - self._beat - self._collected
        if seconds > self._limit_s:
            turn, stack = self._seen
            stack = stack if turn == self._turn else ()
            self._found(Held(seconds=seconds, collecting=self._collected, stack=stack))
        self.forget()

    def _next_turn(self) -> None:
        self.look()
        self._handle = asyncio.get_running_loop().call_later(INTERVAL_S, self._next_turn)

    def _on_collection(self, phase: str, _info: dict[str, int]) -> None:
        if threading.get_ident() == self._ident:
            if phase == "start":
                self._collecting = time.thread_time()
            else:
                self._collected += time.thread_time() - self._collecting

    def _watch(self) -> None:
        """In a thread of its own: take the stack once the loop has been held for half of what it may be."""
        while not self._stopping.wait(INTERVAL_S):
            turn = self._turn
            if self._seen[0] != turn and time.clock_gettime(self._clock) - self._beat > self._limit_s / 2:
                self._seen = turn, _stack(sys._current_frames().get(self._ident))


def _stack(frame: FrameType | None) -> tuple[str, ...]:
    """The frames that lead to ``frame``. No file is read: that takes long beside what holds the loop."""
    found: list[str] = []
    while frame is not None and len(found) < FRAMES:
        code = frame.f_code
        found.append(f"{_short(code.co_filename)}:{frame.f_lineno} {code.co_name}")
        frame = frame.f_back
    return tuple(reversed(found))


def _short(filename: str) -> str:
    return filename.removeprefix(_ROOT) if filename.startswith(_ROOT) else "/".join(filename.split("/")[-2:])
