"""Python's garbage collector in a process that tests run in."""

from __future__ import annotations

import gc


def settle() -> None:
    """Have it leave alone what is there now and stays, modules and tests: else that is half of its work."""
    gc.collect()
    gc.freeze()
