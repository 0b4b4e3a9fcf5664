"""What a benchmark's process has in common with one that serves (``palpo.cli.serving``).

Without it the figures would be those of an event loop, an allocator and a garbage collector that no server
runs on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import uvloop

from palpo.cli.memory import bound_allocator, settle_collector

__all__ = ["run", "settle_collector"]


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run it as a server runs; ``settle_collector`` is for once all is set up."""
    bound_allocator()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)
