"""What a serving process does about memory: what the C library keeps of it, when Python looks for cycles."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress

# Of glibc's malloc.h.
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
M_ARENA_MAX = -8

LARGE_BYTES = 48 * 1024
"""Of the smallest block that has pages of its own."""
FREE_BYTES = 1024 * 1024
"""What may be free at a heap's end before it is given back."""
ARENAS = 2
COLLECT_AFTER = (5_000, 20, 20)
"""How many more objects there are before the youngest are looked through, and how often that is done before
older ones are: little that a server makes is in a cycle."""


def bound_allocator() -> None:
    """Have large blocks given back to the system as soon as they are freed; before threads are started.

    Left to itself glibc learns to keep them, up to 32 MiB each, and has heaps of its own for every thread: a
    few large responses at once, and a server stays several times as large. Other C libraries have no such
    settings.
    """
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        for setting, value in (
            (M_MMAP_THRESHOLD, LARGE_BYTES),
            (M_TRIM_THRESHOLD, FREE_BYTES),
            (M_ARENA_MAX, ARENAS),
        ):
            libc.mallopt(setting, value)


def settle_collector() -> None:
    """Have the garbage collector leave alone what is there now and stays: modules, declarations, services."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
