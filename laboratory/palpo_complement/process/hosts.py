"""The hosts file of a network: how its containers find each other by name.

The file keeps its inode and, as long as it fits, its size. One `pwrite` replaces it, so that a reader never
sees half of it, and it may be bind-mounted over `/etc/hosts` for servers that know nothing of this runner.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

BLOCK = 4096


def render(entries: Mapping[str, str]) -> bytes:
    """`entries` maps names to addresses. Padded with newlines to a multiple of 4,096 bytes."""
    lines = ["127.0.0.1 localhost", *(f"{address} {name}" for name, address in sorted(entries.items()))]
    text = ("\n".join(lines) + "\n").encode()
    return text.ljust(-(-len(text) // BLOCK) * BLOCK, b"\n")


def write(path: Path, entries: Mapping[str, str]) -> None:
    """Replace the content of the hosts file in place."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        content = render(entries)
        os.pwrite(handle, content, 0)
        os.ftruncate(handle, len(content))
    finally:
        os.close(handle)
